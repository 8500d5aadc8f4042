"""What browsers and edges are told of every public read: how long it may be kept, its tag, and for whom it is."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from grandstand import clock
from tests.api.conftest import Site
from tests.api.tournament_steps import create, run, score, set_clock
from tests.support.core import NOON, event

pytestmark = pytest.mark.anyio
PUBLIC = "public, max-age=5, s-maxage=60, stale-while-revalidate=30"
ARCHIVED = "public, max-age=3600, s-maxage=3600, stale-while-revalidate=30"
DEFINITIONS = (
    "/api/leaderboards?limit=1000",
    "/api/leaderboards/edge/definition",
    "/api/leaderboards/edge/periods",
    "/api/tournaments?limit=1000",
    "/api/tournaments/edge-cup",
)
RANKS = (
    "/api/leaderboards/edge",
    "/api/leaderboards/edge?user_id=ann",
    "/api/leaderboards/edge/users/ann",
    "/api/leaderboards/edge/users/ann/nearby",
    "/api/tournaments/edge-cup/leaderboard",
    "/api/tournaments/edge-cup/users/ann",
    "/api/tournaments/edge-cup/users/ann/nearby",
)


@pytest.fixture
async def filled(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A board and a running tournament, with a player on both."""
    set_clock(monkeypatch, NOON)
    board = {"event_type": "edge", "operator": "best", "field": "score"}
    if (await site.put("/api/leaderboards/edge", board)).status_code == 201:
        await create(site, "edge-cup")
    await run(site)
    await site.core.refresh()
    await site.core.apply(event("ann", 10, event_type="edge"))
    await score(site, "edge-cup", "ann", 10)
    return site


async def test_every_public_read_may_be_kept_and_is_sent_once(filled: Site) -> None:
    for path in (*DEFINITIONS, *RANKS):
        for who in (None, "client"):
            answer = await filled.get(path, who)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, PUBLIC), path
            assert answer.headers["vary"] == "Authorization"
            assert "set-cookie" not in answer.headers
            tag = answer.headers["etag"]
            # Compared weakly: an edge may have made a strong tag of it, and a client may hold several.
            for held in (tag, "*", tag.removeprefix("W/"), f'"x,y",\t{tag}', f'W/"x",{tag.removeprefix("W/")} , "z"'):
                again = await filled.get(path, who, headers={"If-None-Match": held})
                assert (again.status_code, again.content) == (304, b""), (path, held)
                assert [again.headers[name] for name in ("cache-control", "vary", "etag")] == [
                    answer.headers[name] for name in ("cache-control", "vary", "etag")
                ]
            for other in ('"x"', tag.strip('W/"'), f"{tag[:-2]}", '"', ",", f'"{tag}"'):
                assert (await filled.get(path, who, headers={"If-None-Match": other})).status_code == 200, other


async def test_the_document_says_which_reads_have_tags(filled: Site) -> None:
    """Every read that may be kept, and no other one, has the tag and 304 in the document."""
    document = (await filled.get("/schema/openapi.json", "admin")).json()
    described = {
        path
        for path, methods in document["paths"].items()
        if "ETag" in methods.get("get", {}).get("responses", {}).get("200", {}).get("headers", {})
    }
    assert described == {path for path, methods in document["paths"].items() if "304" in str(methods.get("get"))}
    shapes = [re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$") for path in described]
    asked = [path.partition("?")[0] for path in (*DEFINITIONS, *RANKS, "/api/leaderboards/user/ann")]
    assert all(any(shape.match(path) for shape in shapes) for path in asked)
    assert all(any(shape.match(path) for path in asked) for shape in shapes)


async def test_several_lines_of_tags_are_one_list(filled: Site) -> None:
    tag = (await filled.get(RANKS[0])).headers["etag"]
    lines = [("If-None-Match", '"x"'), ("If-None-Match", tag)]
    assert (await filled.client.get(RANKS[0], headers=lines)).status_code == 304


async def test_who_may_change_it_and_whom_it_is_about_are_sent_no_copy(filled: Site) -> None:
    player = await filled.token("ann")
    for path in DEFINITIONS:
        for who in ("server", "admin"):
            assert (await filled.get(path, who)).headers["cache-control"] == "private, no-store", path
    for path in RANKS:
        answer = await filled.get(path, player)
        assert answer.headers["cache-control"] == "private, no-store", path
        assert "etag" not in answer.headers
    for path in (*DEFINITIONS[1:3], *RANKS):
        assert (await filled.get(path, "gs_client_wrong")).headers["cache-control"] == "no-store"
    missing = await filled.get("/api/leaderboards/edge/users/nobody")
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")


async def test_a_change_makes_another_tag(filled: Site) -> None:
    tags = {path: (await filled.get(path)).headers["etag"] for path in (*DEFINITIONS, *RANKS)}
    board = {"event_type": "edge", "operator": "best", "field": "score", "title": "Edge"}
    assert (await filled.put("/api/leaderboards/edge", board)).status_code == 200
    await filled.core.apply(event("bob", 20, event_type="edge"))
    await score(filled, "edge-cup", "bob", 20)
    await filled.core.refresh()
    changed = {path for path in tags if (await filled.get(path)).headers["etag"] != tags[path]}
    assert changed == {*DEFINITIONS, *RANKS} - {"/api/leaderboards/edge/periods"}


async def test_nothing_may_be_kept_beyond_the_end_of_what_it_says(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edge keeps it, serves it while it fetches, and the browser keeps what it got then: all of it together."""
    daily = {"event_type": "edge", "operator": "best", "field": "score", "period": "daily"}
    await filled.put("/api/leaderboards/edge-daily", daily)
    await filled.core.refresh()
    for seconds in (3600, 96, 94, 40, 7, 1):
        midnight = NOON.replace(hour=0) + timedelta(days=1)
        set_clock(monkeypatch, midnight - timedelta(seconds=seconds))
        for path in ("/api/leaderboards/edge-daily", "/api/leaderboards/edge-daily/definition"):
            assert most_seconds(await filled.get(path)) <= seconds
        end = NOON + timedelta(hours=1)
        set_clock(monkeypatch, end - timedelta(seconds=seconds))
        for path in ("/api/tournaments/edge-cup", "/api/tournaments", "/api/tournaments/edge-cup/leaderboard"):
            assert most_seconds(await filled.get(path)) <= seconds, path


def most_seconds(answer: httpx.Response) -> int:
    told = answer.headers["cache-control"].removeprefix("public, ").split(", ")
    ages = {name: int(age) for name, age in (each.split("=") for each in told)}
    assert ages.keys() == {"max-age", "s-maxage", "stale-while-revalidate"}
    return sum(ages.values())


async def test_archived_periods_may_be_kept_for_long(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hourly = {"event_type": "past", "operator": "best", "field": "score", "period": "hourly", "segment_by": "country"}
    await filled.put("/api/leaderboards/edge-past", hourly)
    await filled.core.refresh()
    await filled.core.apply(event("ann", event_type="past", payload={"score": 1, "country": "DE"}))
    paths = [
        f"/api/leaderboards/edge-past{suffix}period=20261124T120000Z"
        for suffix in ("?", "?segment=DE&", "/users/ann?", "/users/ann/nearby?")
    ]
    set_clock(monkeypatch, NOON + timedelta(hours=2))
    for path in paths:
        answer = await filled.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, PUBLIC), "late scores may still come"
    await filled.core.new_closer().close()
    for path in paths:
        answer = await filled.get(path)
        assert answer.headers["cache-control"] == ARCHIVED
        assert (await filled.get(path, headers={"If-None-Match": answer.headers["etag"]})).status_code == 304
    assert clock.now() > NOON


async def test_what_is_archived_while_it_is_read_is_not_kept_for_long(
    filled: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that came late may be in the archive and not in what was read a moment before."""
    hourly = {"event_type": "close", "operator": "best", "field": "score", "period": "hourly"}
    reader = filled.services.reader
    for number, (name, suffix) in enumerate((("page", ""), ("user", "/users/ann"), ("nearby", "/users/ann/nearby"))):
        await filled.put(f"/api/leaderboards/edge-close-{number}", hourly)
        await filled.core.refresh()
        set_clock(monkeypatch, NOON)
        await filled.core.apply(event("ann", event_type="close", payload={"score": 1}))
        set_clock(monkeypatch, NOON + timedelta(hours=2))
        read = getattr(reader, name)

        async def read_and_close(*arguments: Any, read: Any = read, **options: Any) -> Any:
            found = await read(*arguments, **options)
            await filled.core.new_closer().close()
            await filled.core.refresh()
            return found

        monkeypatch.setattr(reader, name, read_and_close)
        path = f"/api/leaderboards/edge-close-{number}{suffix}?period=20261124T120000Z"
        assert (await filled.get(path)).headers["cache-control"] == PUBLIC, name
        assert (await filled.get(path)).headers["cache-control"] == ARCHIVED, name


async def test_a_field_named_as_of_in_metadata_counts(filled: Site) -> None:
    """The moment of reading is no part of the tag; what a game keeps under the same name is."""
    board = {"event_type": "meta", "operator": "latest", "field": "score", "keep": ["as_of"]}
    await filled.put("/api/leaderboards/edge-meta", board)
    await filled.core.refresh()
    tags = []
    for number in range(2):
        at = NOON + timedelta(seconds=number)
        await filled.core.apply(event("ann", event_type="meta", at=at, payload={"score": 5, "as_of": str(number)}))
        tags += [(await filled.get("/api/leaderboards/edge-meta?limit=1")).headers["etag"] for _ in range(2)]
    assert tags[0] == tags[1] != tags[2] == tags[3]
