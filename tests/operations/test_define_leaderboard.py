"""Boards are made, changed and deleted between two batches; every process follows."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from grandstand import clock
from grandstand.domain.errors import ConflictError, InvalidError, NotFoundError
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.define_leaderboard import LeaderboardDefiner
from grandstand.storage.changes import Changes
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.valkey import open_valkey
from tests.support.core import NOON, Core, block, event

pytestmark = pytest.mark.anyio

BODY = {"event_type": "game_ended", "operator": "best", "field": "score"}


def body(**values: Any) -> bytes:
    return msgspec.json.encode(BODY | values)


async def listed(core: Core, **arguments: Any) -> list[dict[str, Any]]:
    return [msgspec.json.decode(each) for each in (await core.lister.list(**arguments)).leaderboards]


async def count_entries(core: Core, ranking_id: int) -> int:
    count: int = await core.database.pool.fetchval("SELECT count(*) FROM entries WHERE ranking_id = $1", ranking_id)
    return count


async def test_a_new_board_is_served_as_it_was_given(core: Core) -> None:
    given = BODY | {
        "title": "Größte \U0001f3c6",
        "where": {"mode": "ranked", "level": 3, "pro": True, "guild": None, "rate": 1.5},
        "order": "asc",
        "visibility": "private",
        "min_score": -(2**53) + 1,
        "max_score": 2**53 - 1,
    }
    view, is_new = await core.definer.put("board", msgspec.json.encode(given))
    assert is_new
    found = msgspec.json.decode(msgspec.json.encode(view))
    defaults = {
        "period": "all_time",
        "timezone": "UTC",
        "segment_by": None,
        "keep": [],
        "tiers": [],
        "bucket_size": None,
        "plausibility": None,
    }
    assert found == given | defaults | {"key": "board", "tie_breaks": [], "period_ends_at": None}
    assert await core.definer.get("board") == view
    kinds = {name: type(value) for name, value in ((await core.definer.get("board")).where or {}).items()}
    assert kinds == {"mode": str, "level": int, "pro": bool, "guild": type(None), "rate": float}


async def test_the_same_definition_again_is_no_change(core: Core) -> None:
    await core.definer.put("board", body())
    await core.refresh()
    revision = core.catalog.revision
    _, is_new = await core.definer.put("board", body())
    await core.refresh()
    assert not is_new
    assert core.catalog.revision == revision


async def test_global_exists_once_and_stays_as_it_was_changed(core: Core) -> None:
    await core.definer.put("global", body(title="Hall of fame", order="asc"))
    await asyncio.gather(*(core.definer.ensure_global() for _ in range(4)))
    assert [(board["key"], board["title"]) for board in await listed(core)] == [("global", "Hall of fame")]
    with pytest.raises(ConflictError) as caught:
        await core.definer.delete("global")
    assert caught.value.code == "leaderboard_protected"


async def test_boards_are_listed_by_key(core: Core) -> None:
    for key in ("b", "a", "C"):
        await core.definer.put(key, body())
    assert [board["key"] for board in await listed(core)] == ["C", "a", "b", "global"]


async def test_the_list_is_what_the_boards_are_now(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed through another process, deleted, made anew, and in another period than when it was listed last."""
    now = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    other = Core(core.database, core.valkey, core.prefix)
    await other.definer.put("a", body(period="hourly"))
    await other.definer.put("b", body(visibility="private"))
    assert [(each["key"], each["period_ends_at"]) for each in await listed(core)] == [
        ("a", "2026-11-24T13:00:00Z"), ("b", None), ("global", None),
    ]  # fmt: skip
    assert [each["key"] for each in await listed(core, public_only=True)] == ["a", "global"]
    await other.definer.put("b", body(title="Bees"))
    await other.definer.delete("a")
    assert [(each["key"], each["title"]) for each in await listed(core)] == [("b", "Bees"), ("global", "Global")]
    await other.definer.put("a", body(period="hourly", title="Again"))
    now = datetime(2026, 11, 24, 13, tzinfo=UTC)
    first = (await listed(core))[0]
    assert (first["title"], first["period_ends_at"]) == ("Again", "2026-11-24T14:00:00Z")
    assert first == msgspec.json.decode(msgspec.json.encode(await core.definer.get("a")))


async def test_a_list_page_by_page(core: Core) -> None:
    for number in range(7):
        await core.definer.put(f"b{number}", body(visibility="private" if number % 3 == 0 else "public"))
    whole = [each["key"] for each in await listed(core, public_only=True)]
    assert whole == ["b1", "b2", "b4", "b5", "global"]
    for limit in (1, 2, 4, 5, 6):
        found, cursor = [], None
        while True:
            page = await core.lister.list(public_only=True, limit=limit, cursor=cursor)
            assert len(page.leaderboards) <= limit
            found += [msgspec.json.decode(each)["key"] for each in page.leaderboards]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == whole
    for arguments in ({"limit": 0}, {"limit": 1001}, {"cursor": "%"}):
        with pytest.raises(InvalidError):
            await core.lister.list(**arguments)  # type: ignore[arg-type]


async def test_a_list_decodes_only_what_has_changed(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        await core.definer.put(f"b{number}", body())
    await listed(core)
    read: list[int] = []
    changed_since = core.store.changed_since

    async def counted(connection: Any, revision: int) -> Any:
        found = await changed_since(connection, revision)
        read.append(len(found.kept))
        return found

    monkeypatch.setattr(core.store, "changed_since", counted)
    assert len(await listed(core)) == 21
    await core.definer.put("b3", body(title="Three"))
    assert len(await listed(core)) == 21
    assert read == [0, 1]


@pytest.mark.parametrize("key", ["", "user", "a/b", "x" * 65, "a\x00", "ä", "\ud800"])
async def test_wrong_keys(core: Core, key: str) -> None:
    with pytest.raises(InvalidError):
        await core.definer.put(key, body())
    for call in (core.definer.get, core.definer.delete):
        with pytest.raises(NotFoundError):
            await call(key)


async def test_a_wrong_definition_changes_nothing(core: Core) -> None:
    await core.definer.put("board", body(title="Good"))
    with pytest.raises(InvalidError) as caught:
        await core.definer.put("board", body(title="Bad", operator="worst"))
    assert [error.path for error in caught.value.errors] == ["operator"]
    assert (await core.definer.get("board")).title == "Good"


async def test_a_title_may_change_over_entries(core: Core) -> None:
    await core.define("board", where={"pro": 1})
    kept = event("ann", payload={"score": 5, "pro": 1})
    await core.apply(kept)
    await core.define("board", where={"pro": 1.0}, title="New", visibility="private")
    await core.check("board", [kept])
    assert await core.reader.visibility("board") == "private"


RULES: list[dict[str, Any]] = [
    {"operator": "sum"},
    {"field": "points"},
    {"order": "asc"},
    {"where": {"mode": "ranked"}},
    {"where": {"pro": 1}},
    {"event_type": "match"},
    {"min_score": 0},
    {"max_score": 9},
]


@pytest.mark.parametrize("change", RULES, ids=str)
async def test_rules_may_not_change_over_entries(core: Core, change: dict[str, Any]) -> None:
    await core.define("board", where={"pro": True})
    await core.apply(event("ann", payload={"score": 5, "pro": True}))
    with pytest.raises(ConflictError) as caught:
        await core.definer.put("board", body(**{"where": {"pro": True}} | change))
    assert caught.value.code == "leaderboard_has_entries"
    assert (await core.definer.get("board")).operator == "best"


@pytest.mark.parametrize("change", RULES, ids=str)
async def test_rules_may_change_while_there_are_no_entries(core: Core, change: dict[str, Any]) -> None:
    await core.define("board", where={"pro": True})
    await core.apply(event("ann", payload={"score": "text", "pro": True}))
    changed = await core.define("board", **{"where": {"pro": True}} | change)
    events = [
        event(user, event_type=changed.event_type, payload={"score": score, "points": score, "pro": pro, "mode": mode})
        for user, score in (("ann", 5), ("bob", 7))
        for pro in (True, 1)
        for mode in ("ranked", "casual")
    ]
    await core.apply(*events)
    await core.check("board", events)


async def test_true_for_one_is_a_change(core: Core) -> None:
    """In Python the two definitions would be equal."""
    await core.define("board", where={"pro": True})
    await core.define("board", where={"pro": 1})
    assert (await core.definer.get("board")).where == {"pro": 1}
    assert type((await core.definer.get("board")).where["pro"]) is int  # type: ignore[index]


async def test_a_board_made_anew_begins_empty(core: Core) -> None:
    await core.define("board")
    await core.apply(*(event(user, score) for score, user in enumerate("abc")))
    cursor = (await core.reader.page("board", limit=1)).next_cursor
    await core.definer.delete("board")
    with pytest.raises(NotFoundError):
        await core.definer.get("board")
    await core.refresh()
    with pytest.raises(NotFoundError):
        await core.reader.page("board")
    await core.define("board", order="asc")
    await core.check("board", [])
    with pytest.raises(InvalidError):
        await core.reader.page("board", cursor=cursor)
    later = event("ann", 9)
    await core.apply(later)
    await core.check("board", [later])


async def test_what_a_deleted_board_left_is_swept(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    from grandstand.workers import ranking_sweeper

    monkeypatch.setattr(ranking_sweeper, "_CHUNK_ENTRIES", 2)
    await core.define("board")
    events = [event(user, score) for score, user in enumerate("abcde")]
    await core.apply(*events)
    old, keys = await core.ranking_id("board"), await core.keys("board")
    await core.definer.delete("board")
    await core.define("board")
    sweeper = core.sweeper
    assert await count_entries(core, old) == 5
    await sweeper.sweep()
    assert await count_entries(core, old) == 0
    assert await core.valkey.exists(*keys) == 0
    async with core.database.connection() as connection:
        assert await core.rankings.list_unswept(connection, 10) == []
    await sweeper.sweep()
    await core.check("global", events)
    assert await core.is_complete("board")


async def test_events_count_from_the_definition_on_in_every_process(core: Core) -> None:
    """An applier learns of boards, and of their end, by itself: inside the batch, not by a message."""
    applier = core.new_applier()
    await applier.apply([block([event("early", 1)])])
    await core.define("board")
    await applier.apply([block([event("ann", 1)])])
    assert [row.user_id for row in await core.walk("board")] == ["ann"]
    old = await core.ranking_id("board")
    await core.definer.delete("board")
    await applier.apply([block([event("late", 1)])])
    assert await count_entries(core, old) == 1


async def test_definitions_change_while_appliers_work(core: Core) -> None:
    """Each batch lies wholly before or wholly after a change: a board never holds a part of a batch."""
    boards = [f"b{number}" for number in range(6)]
    batches = [[event(f"p{number}-{part}", 1) for part in range(5)] for number in range(60)]

    async def work(part: list[list[Any]]) -> None:
        applier = core.new_applier()
        for batch in part:
            await applier.apply([block(batch)])

    async def define() -> None:
        for key in boards:
            await core.define(key, operator="count", field=None)

    await asyncio.gather(work(batches[::2]), work(batches[1::2]), define())
    for key in boards:
        assert await core.is_complete(key)
        found = await core.walk(key)
        assert found == await core.computed(key)
        assert len(found) % 5 == 0


async def test_a_board_deleted_between_commit_and_publish_does_no_harm(core: Core) -> None:
    """The applier's own catalog may learn of the deletion in that gap."""
    await core.define("board")
    applier = core.new_applier()
    store = applier._store

    async def store_then_delete(batch: Any) -> Any:
        outcome = await store(batch)
        await core.definer.delete("board")
        async with core.database.connection() as connection:
            await applier._catalog.refresh(connection)
        return outcome

    applier._store = store_then_delete  # type: ignore[method-assign]
    kept = event("ann", 5)
    await applier.apply([block([kept])])
    await core.check("global", [kept])


async def test_the_mark_of_a_new_index_stands_before_anybody_can_publish(core: Core) -> None:
    """Set later, it would call an index complete that was filled and lost in between."""
    seen: list[Any] = []

    class Watching(RankingIndex):
        async def complete_new(self, ranking_ids: Any) -> None:
            seen.append(await core.ranking("board"))
            await super().complete_new(ranking_ids)

    await core.define("board")
    await core.new_applier(Watching(core.valkey, core.prefix)).apply([block([kept := event("ann", 3)])])
    assert seen == [None]
    await core.check("board", [kept])


async def test_boards_can_be_made_and_deleted_while_valkey_is_away(core: Core) -> None:
    valkey = open_valkey("valkey://127.0.0.1:1/0", timeout_seconds=1)
    try:
        changes = Changes(valkey, core.prefix)
        definer = LeaderboardDefiner(
            core.database, core.ledger, core.store, core.rankings, core.entries, RankingIndex(valkey, core.prefix),
            changes,
        )  # fmt: skip
        await definer.put("board", body())
        await definer.put("other", body())
        await definer.delete("other")
    finally:
        await valkey.aclose()
    await core.refresh()
    kept = event("ann", 3)
    await core.apply(kept)
    await core.check("board", [kept])


class SlowStore(LeaderboardStore):
    """Lets the first look at the changes wait, after it was taken, until a second one is through."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.looked = asyncio.Event()

    async def changed_since(self, connection: Any, revision: int) -> Any:
        found = await super().changed_since(connection, revision)
        if not self.looked.is_set():
            self.looked.set()
            await self.go_on.wait()
        return found


async def test_an_older_look_at_the_definitions_does_not_undo_a_newer_one(core: Core) -> None:
    """Two refreshes of one process overlap: the follower's and an applier's."""
    store = SlowStore()
    catalog = LeaderboardCatalog(store)
    await core.definer.put("board", body())
    await core.definer.put("gone", body())

    async def refresh() -> None:
        async with core.database.connection() as connection:
            await catalog.refresh(connection)

    older = asyncio.ensure_future(refresh())
    await store.looked.wait()
    await core.definer.put("board", body(operator="sum"))
    await core.definer.delete("gone")
    await refresh()
    revision = catalog.revision
    store.go_on.set()
    await older
    assert catalog.revision == revision
    assert [(board.key, board.definition.operator) for board in catalog.all()] == [("board", "sum"), ("global", "best")]


async def test_the_catalog_names_score_fields_by_event_type(core: Core) -> None:
    await core.define("kills", operator="sum", field="stats.kills")
    await core.define("kills2", operator="latest", field="stats.kills")
    await core.define("count", operator="count", field="ignored")
    await core.define("spend", operator="sum", field="price", event_type="purchase")
    assert dict(core.catalog.score_fields()) == {
        "game_ended": (("score",), ("stats", "kills")),
        "purchase": (("price",),),
    }
    assert [fed.board.key for fed in core.catalog.fed_by("purchase", {})] == ["spend"]
    assert list(core.catalog.fed_by("nothing", {})) == []
    assert [core.catalog.takes(event_type) for event_type in ("purchase", "nothing")] == [True, False]


async def test_a_redelivery_does_not_reach_a_board_made_later(core: Core) -> None:
    known = event("ann", 5, at=NOON)
    await core.apply(known)
    await core.define("board")
    await core.apply(known)
    await core.check("board", [])
