"""Pages that a process keeps: good as long as nothing changes, and never after it, whatever changes."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from grandstand import clock
from tests.api.conftest import Site, problem
from tests.support.core import NOON, event

pytestmark = pytest.mark.anyio
BOARD = {"event_type": "run", "operator": "best", "field": "score"}
Change = Callable[[Site, str], Awaitable[Any]]


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOON)


@pytest.fixture
def reads(keeping_site: Site, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often the reader was asked for a page, by board."""
    counts: Counter[str] = Counter()
    read = keeping_site.core.reader.page

    async def counted(key: str, **more: Any) -> Any:
        counts[key] += 1
        return await read(key, **more)

    monkeypatch.setattr(keeping_site.core.reader, "page", counted)
    return counts


async def board(site: Site, key: str, **values: Any) -> str:
    """A daily board with two players, whose page is kept."""
    answer = await site.put(f"/api/leaderboards/{key}", BOARD | {"event_type": key, "period": "daily"} | values)
    assert answer.status_code == 201, answer.text
    await site.core.apply(event("ann", 10, event_type=key), event("bob", 5, event_type=key))
    await site.hear()
    return f"/api/leaderboards/{key}"


async def test_a_page_is_kept_until_something_changes(keeping_site: Site, reads: Counter[str]) -> None:
    path = await board(keeping_site, "kept")
    # The first read finds out which ranking it is about; from the second on it is known what would change it.
    await keeping_site.get(path)
    first = await keeping_site.get(path)
    reads.clear()
    for who in (None, "client", "server"):
        assert (await keeping_site.get(path, who)).content == first.content
    assert (await keeping_site.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
    assert reads["kept"] == 0
    assert (await keeping_site.get(path, await keeping_site.token("bob"))).json()["user"]["rank"] == 2
    assert reads["kept"] == 1, "an answer with an own entry is nobody else's"
    assert (await keeping_site.get(path)).content == first.content


async def test_a_page_of_a_past_period_is_kept_until_its_players_change(
    keeping_site: Site, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await board(keeping_site, "past")
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(days=1, hours=1))
    await keeping_site.core.new_closer().close()
    await keeping_site.hear()
    past = f"{path}?period=20261124T000000Z"
    await keeping_site.get(past)
    first = await keeping_site.get(past)
    reads.clear()
    assert (await keeping_site.get(past)).content == first.content
    assert reads["past"] == 0
    await renamed(keeping_site, "past")
    await keeping_site.hear()
    assert (await keeping_site.get(past)).json()["entries"][0]["display_name"] == "Ann of past"


async def scored(site: Site, key: str) -> None:
    await site.core.apply(event("bob", 50, event_type=key))


async def renamed(site: Site, key: str) -> None:
    await site.put("/api/players/ann", {"display_name": f"Ann of {key}"})


async def reset(site: Site, key: str) -> None:
    answer = await site.post(f"/api/leaderboards/{key}/reset", b"", "server")
    assert answer.status_code == 200


async def removed(site: Site, key: str) -> None:
    assert (await site.delete(f"/api/leaderboards/{key}/users/ann")).status_code == 204


async def retiered(site: Site, key: str) -> None:
    tiers = [{"id": "gold", "top_percent": 50}]
    body = BOARD | {"event_type": key, "period": "daily", "tiers": tiers}
    assert (await site.put(f"/api/leaderboards/{key}", body)).status_code == 200


async def replayed(site: Site, key: str) -> None:
    definition = site.core.board(key).definition
    await site.core.new_replayer().replay(key, _with(definition, max_score=6), dry_run=False)
    await site.core.refresh()


def _with(definition: Any, **values: Any) -> Any:
    return msgspec.structs.replace(definition, **values)


@pytest.mark.parametrize("change", [scored, renamed, reset, removed, retiered, replayed])
async def test_no_kept_page_survives(keeping_site: Site, change: Change) -> None:
    key = f"after-{change.__name__}"
    path = await board(keeping_site, key)
    paths = [path, f"{path}?limit=1", f"{path}?user_id=ann", f"{path}/users/ann", f"{path}/users/ann/nearby"]
    before = [await keeping_site.get(each) for _ in range(2) for each in paths][len(paths) :]
    await change(keeping_site, key)
    await keeping_site.hear()
    for each, old in zip(paths, before, strict=True):
        new = await keeping_site.get(each, headers={"If-None-Match": old.headers["etag"]})
        assert new.status_code != 304, each
        assert new.content != old.content, each


async def test_no_kept_page_survives_the_end_of_its_period(keeping_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await board(keeping_site, "rolled")
    await keeping_site.get(path)
    old = await keeping_site.get(path)
    assert old.json()["total"] == 2
    midnight = datetime.fromisoformat(old.json()["period_ends_at"])
    monkeypatch.setattr(clock, "now", lambda: midnight - timedelta(microseconds=1))
    assert (await keeping_site.get(path)).json()["period"] == old.json()["period"]
    monkeypatch.setattr(clock, "now", lambda: midnight)
    new = await keeping_site.get(path, headers={"If-None-Match": old.headers["etag"]})
    assert (new.status_code, new.json()["total"]) == (200, 0)
    again = await keeping_site.get(path)
    assert again.json()["entries"] == []
    await keeping_site.core.apply(event("cleo", 1, event_type="rolled", at=midnight), received_at=midnight)
    await keeping_site.hear()
    assert [each["user_id"] for each in (await keeping_site.get(path)).json()["entries"]] == ["cleo"]


async def test_no_kept_page_survives_a_deletion(keeping_site: Site) -> None:
    path = await board(keeping_site, "deleted")
    await keeping_site.get(path)
    await keeping_site.get(path)
    assert (await keeping_site.delete(path)).status_code == 204
    problem(await keeping_site.get(path), 404, "leaderboard_not_found")
    assert (await keeping_site.put(path, BOARD | {"event_type": "deleted", "period": "daily"})).status_code == 201
    assert (await keeping_site.get(path)).json()["total"] == 0


async def test_a_board_that_is_hidden_shows_no_kept_page(keeping_site: Site) -> None:
    path = await board(keeping_site, "hidden")
    await keeping_site.get(path)
    await keeping_site.get(path)
    body = BOARD | {"event_type": "hidden", "period": "daily", "visibility": "private"}
    assert (await keeping_site.put(path, body)).status_code == 200
    problem(await keeping_site.get(path), 401, "unauthorized")


async def test_whoever_comes_after_a_change_does_not_share_a_read_from_before(
    keeping_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await board(keeping_site, "shared")
    read, gate, began = keeping_site.core.reader.page, asyncio.Event(), asyncio.Event()

    async def slow(key: str, **more: Any) -> Any:
        page = await read(key, **more)
        began.set()
        await gate.wait()
        return page

    with monkeypatch.context() as patch:
        patch.setattr(keeping_site.core.reader, "page", slow)
        early = asyncio.create_task(keeping_site.get(path))
        await began.wait()
    await keeping_site.core.apply(event("new", 100, event_type="shared"))
    await keeping_site.hear()
    late = await keeping_site.get(path)
    gate.set()
    assert (await early).json()["total"] == 2
    assert late.json()["total"] == 3
    assert (await keeping_site.get(path)).json()["total"] == 3, "the early page must not be kept over the late one"
