"""Tournaments over HTTP: every route, who may use it, and what wrong input is told."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from grandstand.api.app import build_app
from grandstand.operations import live_boards
from grandstand.operations.live_tournaments import LiveTournaments
from tests.api.conftest import Site, problem, serve
from tests.api.tournament_steps import GOLD, HOUR, PATH, create, definition, run, score, set_clock, settle, users
from tests.support.core import NOON
from tests.support.listeners import LiveClient, Update

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, NOON)


async def test_a_tournament_from_start_to_prize(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await create(site, "whole", max_attempts=2)
    await run(site)
    shown = (await site.get(path)).json()
    assert (shown["id"], shown["status"], shown["occurrence"], shown["players"]) == ("whole", "active", 1, 0)
    assert shown["next_starts_at"] is None
    for user, points in (("w-ann", 5), ("w-bob", 9), ("w-cleo", 7)):
        await score(site, "whole", user, points)
    for points in (6, 99):
        await score(site, "whole", "w-ann", points)
    page = (await site.get(f"{path}/leaderboard")).json()
    assert (users(page), page["leaderboard"], page["total"]) == (["w-bob", "w-cleo", "w-ann"], "whole", 3)
    own = (await site.get(f"{path}/users/w-ann")).json()
    assert (own["rank"], own["score"], own["attempts"], own["total"]) == (3, 6, 2, 3)
    assert users((await site.get(f"{path}/users/w-cleo/nearby?above=1&below=0")).json()) == ["w-bob", "w-cleo"]
    found = (await site.post(f"{path}/lookup", {"user_ids": ["w-ann", "w-zoe"]})).json()
    assert (users(found), found["not_ranked"], found["leaderboard"]) == (["w-ann"], ["w-zoe"], "whole")
    preview = (await site.get(f"{path}/settlement-preview", "server")).json()
    assert (preview["players"], preview["total_prizes"], preview["total_amounts"]) == (3, 2, {"gold": 200})
    assert [prize["user_id"] for prize in preview["prizes"]] == ["w-bob", "w-cleo"]

    await settle(site, monkeypatch)
    shown = (await site.get(path)).json()
    assert (shown["status"], shown["players"], shown["settled_at"]) == ("settled", 3, "2026-11-24T13:03:00Z")
    prizes = (await site.get("/api/prizes?tournament_id=whole", "server")).json()["prizes"]
    assert [(each["user_id"], each["rank"], each["amount"], each["status"]) for each in prizes] == [
        ("w-bob", 1, 100, "pending"), ("w-cleo", 2, 100, "pending"),
    ]  # fmt: skip
    assert prizes[0]["metadata"] == {"box": "big"}
    bob = await site.token("w-bob")
    claimed = await site.post(f"/api/prizes/{prizes[0]['id']}/claim", b"", bob)
    assert (claimed.status_code, claimed.json()["status"]) == (200, "claimed")
    assert users((await site.get(f"{path}/leaderboard")).json()) == ["w-bob", "w-cleo", "w-ann"]
    assert [each["status"] for each in (await site.get("/api/prizes", bob)).json()["prizes"]] == ["claimed"]


async def test_the_defaults_and_an_id_that_is_made(site: Site) -> None:
    body = {
        "starts_at": NOON.isoformat(), "ends_at": (NOON + HOUR).isoformat(), "event_type": "race", "operator": "count",
    }  # fmt: skip
    answer = await site.post(PATH, body, "admin")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["join"], made["visibility"], made["claim_days"], made["order"]) == ("open", "public", 30, "desc")
    assert (made["max_players"], made["repeat"], made["prizes"], made["status"]) == (None, None, [], "scheduled")
    assert (await site.get(f"{PATH}/{made['id']}")).json() == made


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"ends_at": (NOON - HOUR).isoformat()}, "ends_at"),
        ({"starts_at": (NOON - 3 * HOUR).isoformat(), "ends_at": (NOON - 2 * HOUR).isoformat()}, "ends_at"),
        ({"starts_at": "2026-11-24T12:00:00"}, "starts_at"),
        ({"starts_at": "soon"}, "starts_at"),
        ({"starts_at": 5}, "starts_at"),
        ({"operator": "worst"}, "operator"),
        ({"field": None}, "field"),
        ({"max_players": 0}, "max_players"),
        ({"max_attempts": -1}, "max_attempts"),
        ({"claim_days": 0}, "claim_days"),
        ({"repeat": "weekly"}, "repeat"),
        ({"repeat": "cron: 99 * * * *"}, "repeat"),
        ({"repeat": "cron: 0 0 30 2 *"}, "repeat"),
        ({"prizes": [{"from": 1} | GOLD | {"amount": 0}]}, "prizes[0].amount"),
        ({"prizes": [{"from": 1} | GOLD | {"amount": -5}]}, "prizes[0].amount"),
        ({"prizes": [{"from": 1} | GOLD | {"amount": 2**53}]}, "prizes[0].amount"),
        ({"prizes": [{"from": 1} | GOLD | {"kind": ""}]}, "prizes[0].kind"),
        ({"prizes": [{"from": 1} | GOLD | {"metadata": {"x": "y" * 5000}}]}, "prizes[0].metadata"),
        ({"prizes": [{"from": 1} | GOLD | {"metadata": {"x": "\x00"}}]}, "prizes[0].metadata"),
        ({"prizes": [{"from": 3, "to": 1} | GOLD]}, "prizes[0].to"),
        ({"prizes": [GOLD]}, "prizes[0].from"),
        ({"prizes": [{"top_percent": 101} | GOLD]}, "prizes[0].top_percent"),
        ({"prizes": [{"from": 1, "top_percent": 5} | GOLD]}, "prizes[0]"),
        ({"prizes": [{"from": 1, "to": 5} | GOLD, {"from": 5} | GOLD]}, "prizes[1]"),
        ({"prizes": [{"from": 1} | GOLD] * 201}, "prizes"),
        ({"color": "red"}, "color"),
        ({"id": "a b"}, "id"),
        ({"id": 5}, "id"),
        ({"title": "\x00"}, "title"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_tournament(site: Site, values: dict[str, Any], field: str) -> None:
    body = problem(await site.post(PATH, definition(**values), "server"), 422, "invalid")
    assert [each["path"] for each in body["errors"]] == [field]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'{"title":"\\ud800"}'])
async def test_broken_bodies(site: Site, body: bytes) -> None:
    path = await create(site, f"broken-{body.hex()}")
    for answer in (
        await site.post(PATH, body, "server"),
        await site.client.patch(path, content=body, headers=site.headers("server")),
    ):
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


async def test_one_id_is_one_tournament(site: Site) -> None:
    await create(site, "twice")
    problem(await site.post(PATH, definition(id="twice"), "server"), 409, "tournament_exists")


async def test_who_may_manage(site: Site) -> None:
    path = await create(site, "guarded")
    requests: list[tuple[str, str, Any]] = [
        ("POST", PATH, definition()),
        ("PATCH", path, {"title": "x"}),
        ("POST", f"{path}/cancel", None),
        ("POST", f"{path}/end", None),
        ("GET", f"{path}/settlement-preview", None),
    ]
    player = await site.token("g-ann")
    for method, target, body in requests:
        for who, status in ((None, 401), ("client", 403), (player, 403)):
            answer = await site.client.request(method, target, json=body, headers=site.headers(who))
            assert answer.status_code == status, (method, target, who)


async def test_who_may_read(site: Site) -> None:
    await create(site, "r-open")
    hidden = await create(site, "r-hidden", visibility="private")
    await run(site)
    await score(site, "r-hidden", "r-ann", 5)
    ann, bob = await site.token("r-ann"), await site.token("r-bob")

    async def listed(who: str | None) -> set[str]:
        found = (await site.get(f"{PATH}?limit=1000", who)).json()["tournaments"]
        return {each["id"] for each in found} & {"r-open", "r-hidden"}

    assert await listed("server") == {"r-open", "r-hidden"}
    for who in (None, "client", ann):
        assert await listed(who) == {"r-open"}
    for suffix in ("", "/leaderboard", "/users/r-ann/nearby", "/live"):
        problem(await site.get(hidden + suffix), 401, "unauthorized")
        problem(await site.get(hidden + suffix, "client"), 403, "forbidden")
        problem(await site.get(hidden + suffix, bob), 403, "forbidden")
    problem(await site.post(f"{hidden}/lookup", {"user_ids": []}), 401, "unauthorized")
    problem(await site.get(f"{hidden}/users/r-ann", bob), 403, "forbidden")
    assert (await site.get(f"{hidden}/users/r-ann", ann)).json()["rank"] == 1
    assert (await site.get(f"{hidden}/leaderboard", "server")).headers["cache-control"] == "private, no-store"
    public = await site.get(f"{PATH}/r-open/leaderboard")
    assert public.headers["cache-control"].startswith("public")
    again = await site.get(f"{PATH}/r-open/leaderboard", headers={"If-None-Match": public.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await site.get(f"{PATH}/r-open/leaderboard", ann)).json()["user"] is None


async def test_joining(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await create(site, "entry", join="required", max_players=2)
    await run(site)
    ann = await site.token("j-ann")
    for who, status in ((None, 401), ("client", 403)):
        assert (await site.post(f"{path}/join", {"user_id": "j-ann"}, who)).status_code == status
    problem(await site.post(f"{path}/join", {"user_id": "j-bob"}, ann), 403, "forbidden")
    problem(await site.post(f"{path}/join", {}, "server"), 422, "invalid")
    problem(await site.post(f"{path}/join", {"user_id": "\x00"}, "server"), 422, "invalid")
    problem(await site.post(f"{path}/join", b"{", "server"), 400, "malformed")
    entered = await site.post(f"{path}/join", b"", ann)
    assert entered.status_code == 200
    assert entered.json() == {
        "tournament_id": "entry", "occurrence": 1, "user_id": "j-ann", "joined_at": "2026-11-24T12:00:00Z",
        "attempts": 0,
    }  # fmt: skip
    assert (await site.post(f"{path}/join", {"user_id": "j-ann"}, "server")).json() == entered.json()
    await score(site, "entry", "j-ann", 5)
    await score(site, "entry", "j-zoe", 50)
    assert users((await site.get(f"{path}/leaderboard")).json()) == ["j-ann"]
    assert (await site.post(f"{path}/join", {"user_id": "j-bob"}, "server")).status_code == 200
    problem(await site.post(f"{path}/join", {"user_id": "j-cleo"}, "server"), 409, "tournament_full")
    set_clock(monkeypatch, NOON + HOUR)
    problem(await site.post(f"{path}/join", {"user_id": "j-ann"}, "server"), 409, "tournament_over")


async def test_many_join_a_small_tournament_at_once(site: Site) -> None:
    path = await create(site, "crowd", join="required", max_players=5)
    answers = await asyncio.gather(
        *(site.post(f"{path}/join", {"user_id": f"c-{number}"}, "server") for number in range(20))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [409] * 15
    assert (await site.get(path)).json()["players"] == 5


async def test_changes_before_the_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await create(site, "edited")

    async def change(**values: Any) -> Any:
        return await site.client.patch(path, json=values, headers=site.headers("server"))

    changed = await change(title="New", ends_at=(NOON + 2 * HOUR).isoformat(), max_attempts=3)
    assert (changed.status_code, changed.json()["title"], changed.json()["max_attempts"]) == (200, "New", 3)
    assert (await site.get(path)).json()["ends_at"] == "2026-11-24T14:00:00Z"
    for values in ({"operator": "sum"}, {"event_type": "x"}, {"color": 1}, {"id": "x"}, {"claim_days": 0}):
        body = problem(await change(**values), 422, "invalid")
        assert [each["path"] for each in body["errors"]] == [next(iter(values))]
    await run(site)
    late = problem(await change(starts_at=(NOON + HOUR).isoformat()), 422, "invalid")
    assert late["errors"][0]["path"] == "starts_at"
    set_clock(monkeypatch, NOON + 3 * HOUR)
    await run(site)
    problem(await change(title="x"), 409, "tournament_over")


async def test_an_end_needs_no_scheduler_that_has_begun_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await create(site, "sudden", repeat="cron: 0 18 * * *")
    await score(site, "sudden", "s-ann", 5, NOON - timedelta(seconds=1))
    ended = await site.post(f"{path}/end", b"", "server")
    assert (ended.status_code, ended.json()["status"], ended.json()["ends_at"]) == (
        200,
        "ended",
        "2026-11-24T12:00:00Z",
    )
    assert ended.json()["next_starts_at"] == "2026-11-24T18:00:00Z"
    problem(await site.post(f"{path}/end", b"", "server"), 409, "tournament_not_active")
    await settle(site, monkeypatch)
    shown = (await site.get(f"{path}?occurrence=1")).json()
    assert (shown["status"], shown["players"]) == ("settled", 1)
    told = await site.core.database.pool.fetch(
        "SELECT type FROM webhook_events WHERE payload ->> 'tournament_id' = 'sudden' ORDER BY event_id"
    )
    assert [row["type"] for row in told].count("tournament.started") == 1


async def test_an_end_by_hand_and_a_cancellation(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = await create(site, "ahead", starts_at=(NOON + HOUR / 2).isoformat())
    problem(await site.post(f"{ahead}/end", b"", "server"), 409, "tournament_not_active")
    path = await create(site, "short")
    await run(site)
    await score(site, "short", "s-ann", 5, NOON - timedelta(seconds=1))
    ended = await site.post(f"{path}/end", b"", "server")
    assert (ended.status_code, ended.json()["status"], ended.json()["ends_at"]) == (
        200,
        "ended",
        "2026-11-24T12:00:00Z",
    )
    problem(await site.post(f"{path}/end", b"", "server"), 409, "tournament_not_active")
    gone = await create(site, "gone")
    await run(site)
    await score(site, "gone", "s-bob", 5)
    cancelled = await site.post(f"{gone}/cancel", b"", "server")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    problem(await site.post(f"{gone}/cancel", b"", "server"), 409, "tournament_settled")
    problem(await site.post(f"{gone}/join", {"user_id": "x"}, "server"), 409, "tournament_over")
    await settle(site, monkeypatch)
    assert (await site.get(path)).json()["status"] == "settled"
    problem(await site.post(f"{path}/cancel", b"", "server"), 409, "tournament_settled")
    assert len((await site.get("/api/prizes?tournament_id=short", "server")).json()["prizes"]) == 1
    assert (await site.get("/api/prizes?tournament_id=gone", "server")).json()["prizes"] == []
    assert {each["id"] for each in (await site.get(f"{PATH}?status=cancelled")).json()["tournaments"]} >= {"gone"}


async def test_a_repeating_one_and_its_occurrences(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await create(site, "daily", repeat="cron: 0 11 * * *")
    assert (await site.get(path)).json()["next_starts_at"] == "2026-11-25T11:00:00Z"
    await run(site)
    await score(site, "daily", "d-ann", 5)
    next_day = NOON + timedelta(days=1)
    set_clock(monkeypatch, next_day)
    await run(site)
    shown = (await site.get(path)).json()
    assert (shown["occurrence"], shown["status"], shown["starts_at"]) == (2, "active", "2026-11-25T11:00:00Z")
    await score(site, "daily", "d-bob", 7, next_day)
    assert users((await site.get(f"{path}/leaderboard")).json()) == ["d-bob"]
    first = (await site.get(f"{path}?occurrence=1")).json()
    assert (first["status"], first["ends_at"], first["players"]) == ("settled", "2026-11-24T13:00:00Z", 1)
    assert users((await site.get(f"{path}/leaderboard?occurrence=1")).json()) == ["d-ann"]
    assert (await site.get(f"{path}/users/d-ann?occurrence=1")).json()["attempts"] == 1
    problem(await site.get(f"{path}/users/d-ann"), 404, "not_ranked")
    problem(await site.get(f"{path}/leaderboard?occurrence=9"), 404, "occurrence_not_found")
    problem(await site.get(f"{path}?occurrence=9"), 404, "occurrence_not_found")
    for wrong in ("0", "-1", "x", str(2**31), "9" * 18):
        body = problem(await site.get(f"{path}/leaderboard?occurrence={wrong}"), 422, "invalid")
        assert body["errors"][0]["path"] == "occurrence"


@pytest.mark.parametrize("name", ["nothing", "%00", "%ff", "x" * 65, "a%2Fb", "a b"])
async def test_tournaments_that_are_none(site: Site, name: str) -> None:
    for suffix in ("", "/leaderboard", "/users/ann", "/users/ann/nearby", "/live", "/settlement-preview"):
        problem(await site.get(f"{PATH}/{name}{suffix}", "server"), 404, "tournament_not_found")
    for suffix, body in (("/join", {"user_id": "x"}), ("/cancel", {}), ("/end", {}), ("/lookup", {"user_ids": []})):
        problem(await site.post(f"{PATH}/{name}{suffix}", body, "server"), 404, "tournament_not_found")
    answer = await site.client.patch(f"{PATH}/{name}", json={}, headers=site.headers("server"))
    problem(answer, 404, "tournament_not_found")


async def test_the_list_goes_page_by_page(site: Site) -> None:
    for number in range(5):
        await create(site, f"page-{number}")
    found: list[str] = []
    cursor = None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        body = (await site.get(PATH, params=query)).json()
        found += [each["id"] for each in body["tournaments"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert [name for name in found if name.startswith("page-")] == [f"page-{number}" for number in range(5)]
    assert found == sorted(found)
    for query, field in (({"limit": "0"}, "limit"), ({"status": "x"}, "status"), ({"cursor": "\x00"}, "cursor")):
        assert problem(await site.get(PATH, params=query), 422, "invalid")["errors"][0]["path"] == field


async def next_update(updates: AsyncIterator[Update]) -> Update:
    async with asyncio.timeout(10):
        return await anext(updates)


async def test_a_live_tournament(keeping_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_boards, "INTERVAL_SECONDS", 0.02)
    site = keeping_site
    path = await create(site, "watched", repeat="cron: 0 11 * * *")
    await run(site)
    live = LiveTournaments(site.core.reader, site.services.tournament_ranks)
    services = dataclasses.replace(site.services, live_tournaments=live)
    async with serve(build_app(services), services.settings) as url:
        try:
            async with LiveClient(f"{url}{path}/live?limit=2") as client:
                assert client.status == 200
                updates = client.updates()
                assert users((await next_update(updates)).data) == []
                await score(site, "watched", "l-ann", 5)
                first = await next_update(updates)
                assert (users(first.data), first.data["leaderboard"]) == (["l-ann"], "watched")
                # From one occurrence to the next.
                next_day = NOON + timedelta(days=1)
                set_clock(monkeypatch, next_day)
                await run(site)
                await score(site, "watched", "l-bob", 7, next_day)
                while users((update := await next_update(updates)).data) != ["l-bob"]:
                    assert len(update.data["entries"]) < 2
        finally:
            await live.close()
    problem(await site.get(f"{path}/live?limit=0"), 422, "invalid")
    head = await site.client.head(f"{path}/live")
    assert (head.status_code, head.content) == (200, b"")
