"""Events that are not plausible: kept apart whatever the order, counted once when released, never when rejected."""

import asyncio
import json
import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand import clock
from grandstand.domain.errors import ConflictError, NotFoundError
from grandstand.domain.events import Event
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.operations.find_ranking import Part
from grandstand.operations.judge_events import MINUTES_KEPT, EventJudge
from grandstand.operations.manage_quarantine import QuarantineView
from grandstand.storage.ranking_index import RankingIndex
from tests.support.core import NOON, Core, block, event, split
from tests.support.invariants import check_invariants

pytestmark = pytest.mark.anyio

BOUNDS = {
    "score_min": -50,
    "score_max": 400,
    "duration_field": "duration",
    "duration_min_seconds": 20,
    "gain_per_minute_max": 100,
}
BOARDS = {
    "best": {"operator": "best"},
    "sum": {"operator": "sum"},
    "latest": {"operator": "latest"},
    "count": {"operator": "count"},
}
BOUNDED: dict[str, dict[str, Any]] = {
    key: BOUNDS if key in ("best", "sum") else {**BOUNDS, "gain_per_minute_max": None} for key in BOARDS
}
EVENTS = st.lists(
    st.builds(
        lambda user_id, number, score, duration: event(
            user_id, event_id=UUID(int=number), payload={"score": score} | duration
        ),
        st.sampled_from(["ann", "bob", "cid"]),
        st.integers(1, 2**128 - 1),
        st.integers(-60, 450),
        st.fixed_dictionaries({}, optional={"duration": st.sampled_from([0, 19.9, 20, 60, 300, -1, True, "60"])}),
    ),
    max_size=25,
    unique_by=lambda item: item.id,
)


def expected_reason(key: str, item: Event) -> str | None:
    """What the bounds say of an event, by the words of the documentation."""
    payload = json.loads(bytes(item.payload))
    score = 1 if key == "count" else payload["score"]
    duration = payload.get("duration")
    if score < -50 or score > 400:
        return "score_too_low" if score < 0 else "score_too_high"
    if duration is None or isinstance(duration, bool | str) or duration < 0:
        return "duration_missing"
    if duration < 20:
        return "duration_too_short"
    return "gain_too_high" if key in ("best", "sum") and score > 100 * duration / 60 else None


async def held(core: Core, key: str | None = None) -> list[QuarantineView]:
    return (await core.new_quarantine_manager().list(leaderboard=key, limit=1000)).quarantine


async def the_one(core: Core, user_id: str = "ann") -> QuarantineView:
    (found,) = (await core.new_quarantine_manager().list(user_id=user_id)).quarantine
    return found


@pytest.fixture
async def boards(core: Core) -> Core:
    for key, values in BOARDS.items():
        await core.define(key, **values, plausibility=BOUNDED[key])
    return core


@settings(max_examples=25)
@given(events=EVENTS, seed=st.integers(0, 2**32))
async def test_bounds_of_one_event_do_not_mind_order_batches_or_repetition(
    boards: Core, events: list[Event], seed: int
) -> None:
    await boards.reset()
    randomly = random.Random(seed)

    async def deliver() -> None:
        mine = [item for item in events for _ in range(randomly.choice([1, 1, 2]))]
        randomly.shuffle(mine)
        applier = boards.new_applier()
        for batch in split(mine, randomly):
            await applier.apply([block(batch)])

    await asyncio.gather(deliver(), deliver())
    for key in BOARDS:
        found = {str(row.event_id): row.reason for row in await held(boards, key)}
        reasons = {str(item.id): expected_reason(key, item) for item in events}
        assert found == {event_id: reason for event_id, reason in reasons.items() if reason is not None}
        await boards.check(key, [item for item in events if reasons[str(item.id)] is None])
    assert await boards.count_events() == len(events)


async def test_kept_apart_everywhere_every_promise_is_kept(boards: Core) -> None:
    randomly = random.Random(4)
    payloads = [{"score": randomly.randrange(-60, 450), "duration": randomly.choice([5, 60, 300])} for _ in range(80)]
    events = [event(f"p{number % 7}", payload=payload) for number, payload in enumerate(payloads)]
    await boards.apply(*events)
    for row in randomly.sample(await held(boards), 20):
        manager = boards.new_quarantine_manager()
        await (manager.release if randomly.random() < 0.5 else manager.reject)(str(row.id))
    for key in BOARDS:
        out = {str(row.event_id) for row in await held(boards, key) if row.status != "released"}
        assert out
        await boards.check(key, [item for item in events if str(item.id) not in out])
    await check_invariants(boards)


@pytest.mark.parametrize("workers", [1, 3])
async def test_as_many_events_of_a_minute_count_in_any_order(core: Core, workers: int) -> None:
    await core.define("board", operator="count", field=None, plausibility={"events_per_minute_max": 4})
    randomly = random.Random(workers)
    events = [
        event(user_id, at=NOON + timedelta(seconds=seconds))
        for user_id in ("ann", "bob")
        for seconds in [*range(0, 60, 6), 60, 61, 125]
    ]
    deliveries = [randomly.sample(events, len(events)) for _ in range(workers)]

    async def deliver(mine: list[Event]) -> None:
        applier = core.new_applier()
        for batch in split(mine, randomly):
            await applier.apply([block(batch)])

    await asyncio.gather(*(deliver(mine) for mine in deliveries))
    # Ten in the first minute, of which four count; two and one in those after it.
    assert [(row.user_id, row.score) for row in await core.walk("board")] == [("ann", 7), ("bob", 7)]
    rows = await held(core)
    assert {row.reason for row in rows} == {"too_many_events"}
    assert len({row.event_id for row in rows}) == len(rows) == 12
    await check_invariants(core)


async def test_what_a_minute_may_bring(core: Core) -> None:
    await core.define("board", operator="sum", plausibility={"gain_per_minute_max": 100})
    await core.apply(event("ann", 60), event("ann", -500, at=NOON + timedelta(seconds=1)))
    await core.apply(event("ann", 41, at=NOON + timedelta(seconds=59)), event("bob", 101))
    await core.apply(
        event("ann", 40, at=NOON + timedelta(seconds=59)), event("ann", 100, at=NOON + timedelta(minutes=1))
    )
    # 41 would have made 101; what is kept apart takes up no room, and a loss makes none.
    assert [(row.user_id, row.score) for row in await core.walk("board")] == [("ann", -300)]
    assert {(row.user_id, row.score) for row in await held(core)} == {("bob", 101), ("ann", 41)}


class Fails(RankingIndex):
    """An index that is out of reach once: inside the transaction of a batch, or after its commit."""

    broken = "complete_new"

    async def complete_new(self, *arguments: Any) -> Any:
        if self.broken == "complete_new":
            self.broken = ""
            raise ValkeyConnectionError("gone")
        return await super().complete_new(*arguments)

    async def publish(self, *arguments: Any) -> None:
        if self.broken == "publish":
            self.broken = ""
            raise ValkeyConnectionError("gone")
        await super().publish(*arguments)


@pytest.mark.parametrize("broken", ["complete_new", "publish"])
async def test_a_worker_dies_and_another_gets_the_batch(core: Core, broken: str) -> None:
    await core.define("board", operator="count", field=None, plausibility={"events_per_minute_max": 2, "score_max": 5})
    events = [event("ann") for _ in range(5)]
    index = Fails(core.valkey, core.prefix)
    index.broken = broken
    with pytest.raises(ValkeyConnectionError):
        await core.new_applier(index).apply([block(events)])
    assert len(await held(core)) == (0 if broken == "complete_new" else 3)
    for _ in range(2):
        await core.new_applier().apply([block(events)])
    assert len(await held(core)) == 3
    assert [(row.user_id, row.score) for row in await core.walk("board")] == [("ann", 2)]
    await check_invariants(core)


async def test_a_release_counts_once_and_is_told_once(core: Core) -> None:
    await core.define("board", operator="sum", plausibility={"score_max": 10})
    await core.apply(event("ann", 50), event("ann", 5))
    row = await the_one(core)
    assert (row.status, row.reason, row.leaderboard, row.score) == ("held", "score_too_high", "board", 50)
    manager = core.new_quarantine_manager()
    released = await manager.release(str(row.id))
    assert (released.status, released.unranked_reason) == ("released", None)
    assert await manager.release(str(row.id)) == released
    with pytest.raises(ConflictError) as refused:
        await manager.reject(str(row.id))
    assert refused.value.code == "quarantine_decided"
    assert [(row.user_id, row.score) for row in await core.walk("board")] == [("ann", 55)]
    told = await core.database.pool.fetch("SELECT action FROM audit_log WHERE target = $1", str(row.id))
    assert [each[0] for each in told] == ["quarantine.release"]
    await check_invariants(core)


async def test_one_of_many_decisions_at_once_stands(core: Core) -> None:
    await core.define("board", operator="sum", plausibility={"score_max": 10})
    for number in range(6):
        user_id = f"p{number}"
        await core.apply(event(user_id, 50), event(user_id, 5))
        row = await the_one(core, user_id)
        managers = [core.new_quarantine_manager() for _ in range(6)]
        calls = [
            (manager.release if turn % 2 == number % 2 else manager.reject)(str(row.id))
            for turn, manager in enumerate(managers)
        ]
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        stands = (await the_one(core, user_id)).status
        assert {each.status for each in outcomes if isinstance(each, QuarantineView)} == {stands}
        assert sum(isinstance(each, ConflictError) for each in outcomes) == 3
        scores = {row.user_id: row.score for row in await core.walk("board")}
        assert scores[user_id] == (55 if stands == "released" else 5)
    await check_invariants(core)


async def test_a_release_whose_publish_is_lost_is_mended_by_another(core: Core) -> None:
    await core.define("board", operator="sum", plausibility={"score_max": 10})
    await core.apply(event("ann", 50), event("bob", 5))
    row = await the_one(core)
    index = Fails(core.valkey, core.prefix)
    index.broken = "publish"
    await core.new_quarantine_manager(index).release(str(row.id))
    await core.new_quarantine_manager().release(str(row.id))
    assert [(row.user_id, row.score) for row in await core.walk("board")] == [("ann", 50), ("bob", 5)]


async def test_a_replay_counts_what_is_released_and_nothing_else(core: Core) -> None:
    rules = {"score_max": 10}
    await core.define("board", operator="sum", plausibility=rules)
    events = [event("ann", 100), event("ann", 200), event("ann", 400), event("ann", 1)]
    await core.apply(*events)
    by_score = {row.score: str(row.id) for row in await held(core)}
    manager = core.new_quarantine_manager()
    await manager.release(by_score[100])
    await manager.reject(by_score[200])
    definition = LeaderboardDefinition(event_type="game_ended", operator="sum", field="score", order="asc")
    await core.new_replayer().replay("board", definition, dry_run=False)
    await core.refresh()
    assert [row.score for row in await core.walk("board")] == [101]
    # What is held stays held under the new rule, and a release brings it in.
    await manager.release(by_score[400])
    assert [row.score for row in await core.walk("board")] == [501]
    await check_invariants(core)


@pytest.mark.parametrize("seed", range(4))
async def test_a_release_while_a_replay_is_under_way_counts_once(core: Core, seed: int) -> None:
    await core.define("board", operator="sum", plausibility={"score_max": 10})
    await core.apply(*(event(f"p{number}", 100) for number in range(8)), *(event(f"p{n}", 1) for n in range(8)))
    rows = await held(core)
    randomly = random.Random(seed)

    async def release() -> None:
        for row in rows:
            await asyncio.sleep(randomly.random() / 100)
            await core.new_quarantine_manager().release(str(row.id))

    await asyncio.gather(core.new_replayer().replay("board", None, dry_run=False), release())
    await core.refresh()
    assert {row.score for row in await core.walk("board")} == {101}
    await check_invariants(core)


async def test_released_after_the_end_of_the_period(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def at(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    at(NOON)
    await core.define("board", operator="sum", period="hourly", segment_by="country", plausibility={"score_max": 10})
    await core.apply(
        event("ann", payload={"score": 50, "country": "DE"}),
        event("bob", payload={"score": 5, "country": "FR"}),
        event("cid", payload={"score": 50}, at=NOON - timedelta(hours=1)),
        received_at=NOON - timedelta(seconds=1),
    )
    at(NOON + timedelta(hours=1, minutes=5))
    while await core.new_closer().close():
        pass
    for user_id in ("ann", "cid"):
        released = await core.new_quarantine_manager().release(str((await the_one(core, user_id)).id))
        assert (released.status, released.unranked_reason) == ("released", "late")
    archive = await core.reader.page("board", part=Part(period=f"{NOON:%Y%m%dT%H%M%SZ}"))
    assert [entry.user_id for entry in archive.entries] == ["bob"]
    await check_invariants(core)


async def test_a_rule_that_does_not_read_it_any_more(core: Core) -> None:
    await core.define("board", operator="sum", plausibility={"score_max": 10})
    await core.apply(event("ann", 50))
    await core.define("board", operator="sum", order="asc", where={"mode": "ranked"})
    released = await core.new_quarantine_manager().release(str((await the_one(core)).id))
    assert released.unranked_reason == "rule_changed"
    assert await core.walk("board") == []
    await check_invariants(core)


async def test_a_removed_player_stays_removed(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.define("board", operator="sum", plausibility={"score_max": 10})
    await core.apply(event("ann", 50), event("ann", 5))
    await core.definer.remove_user("board", "ann")
    released = await core.new_quarantine_manager().release(str((await the_one(core)).id))
    assert released.unranked_reason == "removed"
    assert await core.walk("board") == []
    await check_invariants(core)


async def test_bounds_may_change_under_entries_and_judge_what_comes_next(core: Core) -> None:
    await core.define("board", operator="sum")
    await core.apply(event("ann", 50))
    await core.define("board", operator="sum", plausibility={"score_max": 10})
    await core.apply(event("ann", 50))
    await core.define("board", operator="sum")
    await core.apply(event("ann", 1))
    assert [row.score for row in await core.walk("board")] == [51]
    assert len(await held(core)) == 1
    await check_invariants(core)


async def test_the_game_servers_own_word_is_not_judged(core: Core) -> None:
    await core.define("board", operator="best", plausibility={"score_max": 10})
    payload = {"leaderboard": "board", "leaderboard_id": core.board("board").leaderboard_id, "score": 99}
    await core.apply(event("ann", event_type="grandstand.score", payload=payload))
    assert [row.score for row in await core.walk("board")] == [99]


async def test_lists_go_page_by_page_and_forget_deleted_boards(core: Core) -> None:
    for key in ("one", "two"):
        await core.define(key, operator="sum", plausibility={"score_max": 0})
    await core.apply(*(event("ann", number + 1) for number in range(5)), event("bob", 9))
    manager = core.new_quarantine_manager()
    found: list[QuarantineView] = []
    cursor = None
    while True:
        page = await manager.list(limit=5, cursor=cursor)
        found += page.quarantine
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len({row.id for row in found}) == len(found) == 12
    assert [row.id for row in found] == sorted((row.id for row in found), reverse=True)
    await manager.reject(str(found[0].id))
    assert [row.id for row in (await manager.list(status="rejected")).quarantine] == [found[0].id]
    assert {row.user_id for row in (await manager.list(user_id="bob", leaderboard="two")).quarantine} == {"bob"}
    gone = (await manager.list(leaderboard="one")).quarantine[0]
    await core.definer.delete("one")
    assert {row.leaderboard for row in (await manager.list()).quarantine} == {"two"}
    for quarantine_id in (str(gone.id), str(uuid4()), "none"):
        with pytest.raises(NotFoundError):
            await manager.release(quarantine_id)


async def test_minutes_are_forgotten(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.define("board", operator="count", field=None, plausibility={"events_per_minute_max": 1})
    await core.apply(event("ann"))
    judge = EventJudge(core.quarantine)
    minutes = "SELECT count(*) FROM plausibility_minutes WHERE leaderboard_id = $1"
    leaderboard_id = core.board("board").leaderboard_id
    await judge.prune(core.database)
    assert await core.database.pool.fetchval(minutes, leaderboard_id) == 1
    later = clock.now() + MINUTES_KEPT + timedelta(seconds=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    await judge.prune(core.database)
    assert await core.database.pool.fetchval(minutes, leaderboard_id) == 0
