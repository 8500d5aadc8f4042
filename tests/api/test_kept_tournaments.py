"""Tournaments and prizes that a process remembers: read once, and never after a change that it hears of."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from grandstand.api.read_at_once import WholeReads
from grandstand.domain.errors import UnavailableError
from grandstand.operations import answer_cache
from tests.api.conftest import Site
from tests.api.test_over_the_wire import raw
from tests.api.test_post_at_once import LAST, USUAL_WAY, first
from tests.api.test_read_at_once import open_door, read
from tests.api.tournament_steps import HOUR, create, run, score, set_clock
from tests.support.core import NOON

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, NOON)


@pytest.fixture
def reads(keeping_site: Site, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often tournaments and lists of prizes were read from PostgreSQL."""
    counts: Counter[str] = Counter()
    prizes = keeping_site.core.prizes
    for store, name in ((keeping_site.core.tournaments, "find"), (prizes, "list_all"), (prizes, "list_of_users")):
        monkeypatch.setattr(store, name, counted(getattr(store, name), counts, name))
    return counts


def counted(read: Any, counts: Counter[str], name: str) -> Any:
    async def counting(*values: Any, **more: Any) -> Any:
        counts[name] += 1
        return await read(*values, **more)

    return counting


async def test_a_tournament_is_read_once_for_many(keeping_site: Site, reads: Counter[str]) -> None:
    path = await create(keeping_site, "kept-many")
    await run(keeping_site)
    await score(keeping_site, "kept-many", "ann", 10)
    await keeping_site.hear()
    reads.clear()
    for _ in range(5):
        for suffix in ("", "/leaderboard", "/users/ann", "/users/ann/nearby"):
            assert (await keeping_site.get(path + suffix)).status_code == 200
    assert reads["find"] == 1
    await keeping_site.get(path, "server")
    assert reads["find"] == 2, "whoever may change it is told how it is now"


async def test_what_changes_a_tournament_is_shown(keeping_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"starts_at": (NOON + HOUR).isoformat(), "ends_at": (NOON + 2 * HOUR).isoformat()}
    path = await create(keeping_site, "kept-life", **times, join="required")

    async def shown(field: str) -> Any:
        await keeping_site.hear()
        first = (await keeping_site.get(path)).json()[field]
        assert (await keeping_site.get(path)).json()[field] == first
        return first

    assert (await shown("title"), await shown("status"), await shown("players")) == ("Cup", "scheduled", 0)
    changed = await keeping_site.client.patch(path, json={"title": "Bowl"}, headers=keeping_site.headers("server"))
    assert changed.status_code == 200, changed.text
    assert await shown("title") == "Bowl"
    assert (await keeping_site.post(f"{path}/join", {"user_id": "ann"}, "server")).status_code == 200
    assert await shown("players") == 1
    assert (await keeping_site.post("/api/players/ann/ban", {"reason": "bot"}, "server")).status_code == 200
    assert await shown("players") == 0
    set_clock(monkeypatch, NOON + HOUR)
    await run(keeping_site)
    assert await shown("status") == "active"
    assert (await keeping_site.post(f"{path}/cancel", b"", "server")).status_code == 200
    assert await shown("status") == "cancelled"


async def test_a_private_tournament_is_hidden_as_soon_as_it_is_heard_of(keeping_site: Site) -> None:
    path = await create(keeping_site, "kept-hidden")
    await keeping_site.hear()
    assert (await keeping_site.get(path)).status_code == 200
    hidden = {"visibility": "private"}
    answer = await keeping_site.client.patch(path, json=hidden, headers=keeping_site.headers("server"))
    assert answer.status_code == 200, answer.text
    await keeping_site.hear()
    for suffix in ("", "/leaderboard"):
        assert (await keeping_site.get(path + suffix)).status_code == 401


@pytest.fixture
def pages(keeping_site: Site, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a page of a tournament was read."""
    counts: Counter[str] = Counter()
    reader = keeping_site.services.tournament_ranks
    monkeypatch.setattr(reader, "page", counted(reader.page, counts, "page"))
    return counts


async def scored(site: Site, name: str) -> None:
    await score(site, name, "bob", 50)


async def banned(site: Site, name: str) -> None:
    assert (await site.post("/api/players/pat/ban", {"reason": "bot"}, "server")).status_code == 200


async def renamed(site: Site, name: str) -> None:
    assert (await site.put("/api/players/pat", {"display_name": name})).status_code == 200


async def prolonged(site: Site, name: str) -> None:
    changed = {"ends_at": (NOON + 3 * HOUR).isoformat()}
    answer = await site.client.patch(f"/api/tournaments/{name}", json=changed, headers=site.headers("server"))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("change", [scored, renamed, prolonged, banned])
async def test_a_page_of_ranks_is_kept_until_something_changes(
    keeping_site: Site, pages: Counter[str], change: Callable[[Site, str], Awaitable[None]]
) -> None:
    name = f"kept-{change.__name__}"
    path = await create(keeping_site, name)
    await run(keeping_site)
    for user, points in (("pat", 10), ("bob", 5)):
        await score(keeping_site, name, user, points)
    await keeping_site.core.refresh()
    await keeping_site.hear()
    paths = [f"{path}/leaderboard", f"{path}/leaderboard?limit=1&occurrence=1", f"{path}/leaderboard?user_id=pat"]
    before = [await keeping_site.get(each) for _ in range(2) for each in paths][len(paths) :]
    pages.clear()
    for who in (None, "client", "server"):
        again = [await keeping_site.get(each, who) for each in paths]
        assert [each.content for each in again] == [each.content for each in before]
    assert pages["page"] == 0
    own = await keeping_site.get(paths[0], await keeping_site.token("bob"))
    assert own.json()["user"]["user_id"] == "bob"
    assert own.headers["cache-control"] == "private, no-store"
    assert pages["page"] == 1, "an answer with an own entry is nobody else's"
    await change(keeping_site, name)
    await keeping_site.core.refresh()
    await keeping_site.hear()
    for each, old in zip(paths, before, strict=True):
        new = await keeping_site.get(each, headers={"If-None-Match": old.headers["etag"]})
        assert new.status_code == 200, each
        assert new.content != old.content, each


async def test_a_page_of_ranks_is_no_older_than_the_stated_age(
    keeping_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{await create(keeping_site, 'kept-age')}/leaderboard"
    await run(keeping_site)
    await score(keeping_site, "kept-age", "eve", 10)
    await keeping_site.hear()
    now = time.monotonic()
    monkeypatch.setattr(answer_cache, "time", SimpleNamespace(monotonic=lambda: now))
    # Nobody hears of changes of the board from here on.
    monkeypatch.setattr(keeping_site.services.tournament_ranks, "generation", lambda *_: 1)

    async def total() -> int:
        found: int = (await keeping_site.get(path)).json()["total"]
        return found

    assert await total() == 1
    await score(keeping_site, "kept-age", "bob", 5)
    assert await total() == 1
    now += keeping_site.services.settings.read_cache_seconds
    assert await total() == 2


async def test_players_prizes_are_read_together_and_each_is_told_its_own(
    keeping_site: Site, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(keeping_site, "kept-many-prizes", claim_days=1)
    await run(keeping_site)
    for place, user in enumerate(("first", "second", "third")):
        await score(keeping_site, "kept-many-prizes", user, 100 - place)
    await prized(keeping_site, monkeypatch, "kept-many-prizes")
    # One prize of each, not of all together.
    paths = {user: f"/api/prizes?limit=1&user_id={user}" for user in ("first", "second", "third", "no%20body")}
    expected = {user: [user] if user in ("first", "second") else [] for user in paths}
    tasks = 0

    async def count(*_: Any) -> None:
        nonlocal tasks
        tasks += 1

    async with open_door(keeping_site) as (url, _):
        usual = {user: first(await raw(url, read(path, "server", USUAL_WAY) + LAST)) for user, path in paths.items()}
        monkeypatch.setattr(WholeReads, "_read", count)
        reads.clear()
        asked = [raw(url, read(path, "server") + LAST) for _ in range(5) for path in paths.values()]
        answers = [first(answer) for answer in await asyncio.gather(*asked)]
        monkeypatch.setattr(keeping_site.core.prizes, "list_of_users", away)
        failed = [first(await raw(url, read(paths["first"], "server", more) + LAST)) for more in (b"", USUAL_WAY)]
    assert answers == [*usual.values()] * 5
    assert {user: [each["user_id"] for each in json.loads(usual[user][1])["prizes"]] for user in paths} == expected
    assert 1 <= reads["list_of_users"] < len(asked)
    assert failed[0] == failed[1]
    assert failed[0][0][0] == b"HTTP/1.1 503 Service Unavailable"
    assert tasks == 0


async def away(*_: Any, **__: Any) -> None:
    raise UnavailableError("The database cannot be reached right now.")


async def test_a_claim_is_seen_by_the_next_read(
    keeping_site: Site, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await create(keeping_site, "kept-prizes", claim_days=1)
    await run(keeping_site)
    for place, user in enumerate(("claimer", "voided", "late")):
        await score(keeping_site, "kept-prizes", user, 100 - place)
    path = f"/api/prizes?tournament_id={await prized(keeping_site, monkeypatch)}"
    await keeping_site.hear()
    reads.clear()

    async def statuses() -> dict[str, str]:
        return {each["user_id"]: each["status"] for each in (await keeping_site.get(path, "server")).json()["prizes"]}

    assert [await statuses() for _ in range(3)] == [{"claimer": "pending", "voided": "pending"}] * 3
    assert reads["list_all"] == 3, "a server sees what is there now"
    ids = {each["user_id"]: each["id"] for each in (await keeping_site.get(path, "server")).json()["prizes"]}
    # Without waiting until this process has heard of itself.
    token = await keeping_site.token("claimer")
    own = f"{path}&user_id=claimer"
    reads.clear()
    for _ in range(3):
        assert (await keeping_site.get(own, token)).json()["prizes"][0]["status"] == "pending"
    assert sum(reads.values()) == 1
    assert (await keeping_site.post(f"/api/prizes/{ids['claimer']}/claim", b"", token)).status_code == 200
    assert (await keeping_site.get(own, token)).json()["prizes"][0]["status"] == "claimed"
    assert (await statuses())["claimer"] == "claimed"
    assert (await keeping_site.post(f"/api/prizes/{ids['voided']}/void", b"", "server")).status_code == 200
    assert (await statuses())["voided"] == "voided"


async def prized(site: Site, monkeypatch: pytest.MonkeyPatch, tournament_id: str = "kept-prizes") -> str:
    """Let the tournament end and be settled; return its id."""
    path = f"/api/prizes?tournament_id={tournament_id}"
    assert (await site.get(path, "server")).json()["prizes"] == []
    set_clock(monkeypatch, NOON + HOUR)
    await run(site)
    set_clock(monkeypatch, NOON + HOUR + timedelta(seconds=site.services.settings.tournament_grace_seconds))
    await run(site)
    await site.hear()
    assert len((await site.get(path, "server")).json()["prizes"]) == 2, "those of a settlement are heard of"
    return tournament_id
