"""Replays: one clear change-over, whatever happens on the way, and never two rules in one board."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from grandstand import clock
from grandstand.domain.errors import ConflictError, NotFoundError, UnavailableError
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.operations import close_periods, replay_leaderboard
from grandstand.operations.find_ranking import Part
from tests.support.core import NOON, Core, block, event, minutes, open_core, standing
from tests.support.model import standings

pytestmark = pytest.mark.anyio


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Says what time it is; replays read in small pieces."""

    def set_to(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    set_to(NOON)
    monkeypatch.setattr(replay_leaderboard, "_CHUNK_EVENTS", 10)
    return set_to


def rule(**values: Any) -> LeaderboardDefinition:
    return LeaderboardDefinition(**{"event_type": "game_ended", "operator": "best", "field": "score"} | values)


def some_events(count: int, at: datetime = NOON) -> list[Any]:
    return [event(f"p{number % 9}", number % 13, at=at) for number in range(count)]


async def scores(core: Core, key: str, part: Part = Part()) -> dict[str, int]:  # noqa: B008
    return {entry.user_id: entry.score for entry in (await core.reader.page(key, part=part)).entries}


async def between_chunks(core: Core, key: str, definition: Any, action: Callable[[], Any]) -> Any:
    """Replay a board; `action` runs once, between two pieces of its events."""
    is_done = False
    replayer = core.new_replayer()
    fold = replayer._fold

    async def fold_then_act(*arguments: Any) -> None:
        nonlocal is_done
        await fold(*arguments)
        if not is_done:
            is_done = True
            await action()

    replayer._fold = fold_then_act  # type: ignore[method-assign]
    outcome = await replayer.replay(key, definition, dry_run=False)
    assert is_done
    return outcome


async def test_a_dry_run_shows_who_moves_and_changes_nothing(core: Core, at: Any) -> None:
    await core.define("board")
    await core.apply(event("ann", 5), event("bob", 7), event("ann", 4), event("cy", 1))
    shown = await core.reader.page("board")
    outcome = await core.new_replayer().replay("board", rule(operator="sum"), dry_run=True)
    assert (outcome.events, outcome.moved, outcome.is_in_force) == (4, 2, False)
    assert [msgspec.structs.astuple(move) for move in outcome.moves] == [("ann", 2, 1, 5, 9), ("bob", 1, 2, 7, 7)]
    await core.refresh()
    after = await core.reader.page("board")
    assert (after.entries, after.total) == (shown.entries, shown.total)
    assert core.board("board").pending is None
    later = event("bob", 8)
    await core.apply(later)
    assert (await core.reader.user("board", "bob")).score == 8
    await core.sweeper.sweep()
    assert await core.database.pool.fetchval("SELECT count(DISTINCT ranking_id) FROM entries") == 2


async def test_scores_that_come_in_meanwhile_count_once(core: Core, at: Any) -> None:
    await core.define("board")
    before, meanwhile, after = some_events(60), some_events(25), some_events(7)
    await core.apply(*before)

    async def work() -> None:
        await core.apply(*meanwhile)
        await core.new_applier().apply([block(before[:20] + meanwhile[:5])])

    definition = rule(operator="sum", order="asc")
    await between_chunks(core, "board", definition, work)
    await core.apply(*after)
    await core.refresh()
    await core.check("board", before + meanwhile + after)
    assert core.board("board").definition == definition


async def test_a_reader_that_has_not_heard_of_the_swap_never_shows_an_empty_board(core: Core, at: Any) -> None:
    """Its catalog still says the old epoch, whose ranking is gone."""
    await core.define("board", segment_by="country")
    events = [event(f"p{number}", payload={"score": number, "country": "DE"}) for number in range(9)]
    await core.apply(*events)
    other = Core(core.database, core.valkey, core.prefix)
    await other.refresh()
    await core.new_replayer().replay("board", rule(operator="sum", order="asc", segment_by="country"), dry_run=False)
    assert other.board("board").definition.operator == "best"
    page = await other.reader.page("board")
    assert [entry.user_id for entry in page.entries] == [f"p{number}" for number in range(9)]

    stale = Core(core.database, core.valkey, core.prefix)
    await stale.refresh()
    await core.new_replayer().replay("board", rule(segment_by="country"), dry_run=False)
    await core.sweeper.sweep()
    assert (await stale.reader.page("board", part=Part(segment="DE"))).total == 9
    assert (await stale.reader.user("board", "p8")).rank == 1
    assert (await other.reader.lookup("board", ["p0"])).entries[0].rank == 9


async def test_a_reader_that_has_not_heard_of_a_deletion(core: Core, at: Any) -> None:
    await core.define("board")
    await core.apply(event("ann", 5))
    stale = Core(core.database, core.valkey, core.prefix)
    await stale.refresh()
    await core.definer.delete("board")
    with pytest.raises(NotFoundError) as caught:
        await stale.reader.page("board")
    assert caught.value.code == "leaderboard_not_found"
    again = Core(core.database, core.valkey, core.prefix)
    await core.define("board", operator="sum")
    await again.refresh()
    await core.definer.delete("board")
    await core.define("board")
    await core.apply(event("bob", 5), event("bob", 6))
    assert [entry.score for entry in (await again.reader.page("board")).entries] == [6]


async def test_archived_periods_stay_as_they_were(core: Core, at: Any) -> None:
    await core.define("board", period="hourly", segment_by="country")
    old = [event(f"p{n % 5}", payload={"score": n, "country": "DE"}, at=minutes(-90)) for n in range(20)]
    await core.apply(*old, received_at=minutes(-85))
    await core.new_closer().close()
    part, segment = Part(period="20261124T100000Z"), Part(period="20261124T100000Z", segment="DE")
    shown = await scores(core, "board", part)
    new = [event(f"p{n % 5}", payload={"score": n, "country": "DE"}) for n in range(20)]
    await core.apply(*new)
    await core.new_replayer().replay(
        "board", rule(operator="sum", period="hourly", segment_by="country"), dry_run=False
    )
    await core.refresh()
    assert await scores(core, "board", part) == shown
    assert await scores(core, "board", segment) == shown
    assert (await scores(core, "board"))["p0"] == 0 + 5 + 10 + 15
    assert [each.id for each in (await core.reader.periods("board")).periods] == ["20261124T100000Z"]
    await core.sweeper.sweep()
    at(minutes(90))
    await core.new_closer().close()
    await core.sweeper.sweep()
    assert await scores(core, "board", part) == shown
    assert await core.database.pool.fetchval(
        "SELECT count(*) FROM rankings WHERE state = 'archived' AND started_at < $1", minutes(-60)
    ) == 2  # fmt: skip


async def test_a_period_that_closes_during_a_replay(core: Core, at: Any) -> None:
    """It is archived under the old rule, as a whole, or made by the new one, as a whole."""
    await core.define("board", period="hourly", segment_by="country")
    at(minutes(-90))
    old = [event(f"p{n % 5}", payload={"score": n, "country": "DE"}, at=minutes(-90)) for n in range(40)]
    await core.apply(*old, received_at=minutes(-89))
    at(NOON)
    part = Part(period="20261124T100000Z")
    shown = await scores(core, "board", part)

    async def close() -> None:
        await core.new_closer().close()
        await core.sweeper.sweep()

    await between_chunks(core, "board", rule(operator="sum", order="asc", period="hourly", segment_by="country"), close)
    for _ in range(2):
        await core.refresh()
        assert await scores(core, "board", part) == shown
        assert await scores(core, "board", Part(period=part.period, segment="DE")) == shown
        assert [each.total for each in (await core.reader.periods("board")).periods] == [5]
        await core.new_closer().close()
        await core.sweeper.sweep()


async def test_a_replays_own_ended_periods_are_closed_only_once_it_is_in_force(core: Core, at: Any) -> None:
    """Closed before, they would miss the events that the replay still has to read."""
    await core.define("board")
    events = [event(f"p{n % 5}", n, at=minutes(-90)) for n in range(40)]
    await core.apply(*events, received_at=minutes(-89))

    async def close() -> None:
        await core.new_closer().close()

    await between_chunks(core, "board", rule(operator="sum", period="hourly"), close)
    await core.refresh()
    part = Part(period="20261124T100000Z")
    expected = {f"p{n}": sum(range(n, 40, 5)) for n in range(5)}
    assert await scores(core, "board", part) == expected
    assert await core.new_closer().close() == 1
    assert await scores(core, "board", part) == expected


@pytest.mark.parametrize("loss", ["flush", "metadata"])
async def test_the_index_is_lost_and_rebuilt_during_a_replay_that_turns_the_order(
    core: Core, at: Any, loss: str
) -> None:
    await core.define("board", keep=["level"])
    events = [event(f"p{n % 9}", payload={"score": n, "level": n}) for n in range(60)]
    await core.apply(*events)

    async def lose() -> None:
        if loss == "flush":
            await core.lose_valkey()
        else:
            for name in [name async for name in core.valkey.scan_iter(f"{core.prefix}:*:metadata")]:
                await core.valkey.delete(name)
        await core.new_keeper().keep()
        reconciler = core.new_reconciler()
        for _ in range(6):
            assert await reconciler.reconcile() == 0

    await between_chunks(core, "board", rule(order="asc", keep=("level",)), lose)
    await core.refresh()
    for _ in range(2):
        assert standing(await core.reader.page("board")) == standings(rule(order="asc"), events)
        assert [entry.metadata["level"] for entry in (await core.reader.page("board")).entries] == list(range(9))
        await core.new_keeper().keep()
        assert await core.is_complete("board")


async def test_a_removal_during_a_replay_holds(core: Core, at: Any) -> None:
    await core.define("board", operator="sum")
    events = some_events(60)
    await core.apply(*events, received_at=minutes(-1))
    await between_chunks(core, "board", rule(), lambda: core.definer.remove_user("board", "p3"))
    await core.refresh()
    assert "p3" not in await scores(core, "board")
    await core.apply(event("p3", 2), received_at=minutes(1))
    assert (await scores(core, "board"))["p3"] == 2
    await core.new_replayer().replay("board", None, dry_run=False)
    await core.refresh()
    assert (await scores(core, "board"))["p3"] == 2


async def test_what_arrived_before_a_removal_counts_no_more_even_if_it_is_applied_later(core: Core, at: Any) -> None:
    """A worker that was slow comes to the same as a replay."""
    await core.define("board", operator="sum", bucket_size=2)
    await core.apply(event("ann", 1), event("bob", 1), received_at=minutes(-2))
    await core.definer.remove_user("board", "ann")
    applied = await core.apply(event("ann", 10), event("bob", 10), received_at=minutes(-1))
    assert dict(applied.unranked) == {("board", "removed"): 1}
    await core.apply(event("ann", 100), event("bob", 100), received_at=NOON + timedelta(microseconds=1))
    assert await scores(core, "board") == {"ann": 100, "bob": 111}
    assert await scores(core, "board", Part(bucket="1")) == {"ann": 100, "bob": 111}
    await core.new_replayer().replay("board", None, dry_run=False)
    await core.refresh()
    assert await scores(core, "board") == {"ann": 100, "bob": 111}
    assert (await scores(core, "global"))["ann"] == 100, "other boards do not mind"


@pytest.mark.parametrize("change", ["reset", "redefine", "delete", "delete and make anew"])
async def test_a_board_that_is_changed_during_a_replay_keeps_the_change(core: Core, at: Any, change: str) -> None:
    await core.define("board")
    events = some_events(60)
    await core.apply(*events)

    async def act() -> None:
        match change:
            case "reset":
                at(minutes(1))
                await core.definer.reset("board")
            case "redefine":
                await core.define("board", title="New")
            case _:
                await core.definer.delete("board")
        if change == "delete and make anew":
            await core.define("board", operator="count", field=None)

    with pytest.raises(ConflictError) as caught:
        await between_chunks(core, "board", rule(operator="sum"), act)
    assert caught.value.code == "leaderboard_changed"
    await core.refresh()
    await core.sweeper.sweep()
    later = event("late", 99, at=minutes(2))
    await core.apply(later, received_at=minutes(2))
    match change:
        case "redefine":
            await core.check("board", [*events, later])
            assert (await core.definer.get("board")).title == "New"
        case "delete":
            assert core.catalog.get("board") is None
        case _:
            await core.check("board", [later])


async def test_two_replays_of_one_board(core: Core, at: Any) -> None:
    await core.define("board")
    events = some_events(60)
    await core.apply(*events)

    async def another() -> None:
        with pytest.raises(ConflictError) as caught:
            await core.new_replayer().replay("board", None, dry_run=False)
        assert caught.value.code == "replay_under_way"

    await between_chunks(core, "board", rule(operator="sum"), another)
    await core.refresh()
    await core.check("board", events)


async def test_a_replay_that_may_have_one_connection_says_so(
    core: Core, core_database_url: str, valkey_url: str, valkey_prefix: str, at: Any
) -> None:
    await core.define("board")
    async with open_core(core_database_url, valkey_url, valkey_prefix, keeps=True, connections_max=1) as narrow:
        with pytest.raises(UnavailableError, match="two connections"):
            await narrow.new_replayer().replay("board", None, dry_run=False)


async def test_what_a_dead_replay_left_is_given_up_by_the_next(core: Core, at: Any, monkeypatch: Any) -> None:
    await core.define("board")
    events = some_events(60)
    await core.apply(*events)
    dead = core.new_replayer()

    async def die(*arguments: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(dead, "_compare", die)
    monkeypatch.setattr(dead, "_give_up", die)
    with pytest.raises(ZeroDivisionError):
        await dead.replay("board", rule(operator="sum"), dry_run=False)
    await core.refresh()
    assert core.board("board").pending is not None
    await core.apply(*(more := some_events(12)))
    await core.check("board", events + more)
    await core.new_replayer().replay("board", rule(operator="count", field=None), dry_run=False)
    await core.refresh()
    await core.check("board", events + more)
    await core.sweeper.sweep()
    assert await core.database.pool.fetchval("SELECT count(DISTINCT ranking_id) FROM entries") == 2


async def test_a_swap_whose_answer_is_lost_is_not_undone(core: Core, at: Any, monkeypatch: Any) -> None:
    """Committed, and then the connection or the task was gone: giving it up would drop what is in force."""
    await core.define("board")
    events = some_events(30)
    await core.apply(*events)
    replayer = core.new_replayer()
    swap = replayer._swap

    async def swap_and_die(*arguments: Any) -> None:
        await swap(*arguments)
        raise asyncio.CancelledError

    monkeypatch.setattr(replayer, "_swap", swap_and_die)
    with pytest.raises(asyncio.CancelledError):
        await replayer.replay("board", rule(operator="sum"), dry_run=False)
    await core.refresh()
    await core.sweeper.sweep()
    await core.check("board", events)
    assert core.board("board").definition.operator == "sum"


async def test_direct_writes_to_an_earlier_board_of_the_key_are_not_those_of_the_new_one(core: Core, at: Any) -> None:
    await core.define("board", operator="sum", event_type="unused")
    await core.stream.create_group()
    for score in (5, 7):
        await core.writer.write("board", msgspec.json.encode({"user_id": "ann", "score": score}))
    await core.applier.apply(await core.stream.read("w", 0, 1))
    assert await scores(core, "board") == {"ann": 5}
    await core.definer.delete("board")
    await core.define("board", operator="sum", event_type="unused")
    await core.applier.apply(await core.stream.read("w", 0, 10))
    assert await scores(core, "board") == {}
    await core.writer.write("board", msgspec.json.encode({"user_id": "ann", "score": 100}))
    await core.applier.apply(await core.stream.read("w", 0, 10))
    await core.new_replayer().replay("board", None, dry_run=False)
    await core.refresh()
    assert await scores(core, "board") == {"ann": 100}


async def test_a_week_that_begins_with_an_archived_day(core: Core, at: Any) -> None:
    """The day keeps its name and its scores; the week begins behind it, and counts what occurred since."""
    at(datetime(2026, 11, 23, 12, tzinfo=NOON.tzinfo))
    await core.define("board", period="daily", operator="sum")
    await core.apply(event("ann", 5, at=clock.now()), received_at=clock.now())
    at(NOON)
    await core.new_closer().close()
    await core.apply(event("ann", 7))
    await core.new_replayer().replay("board", rule(period="weekly", operator="sum"), dry_run=False)
    await core.refresh()
    page = await core.reader.page("board")
    assert (page.total, page.period, page.period_ends_at) == (
        1, "20261124T000000Z", datetime(2026, 11, 30, tzinfo=NOON.tzinfo),
    )  # fmt: skip
    assert await scores(core, "board") == {"ann": 7}
    assert await scores(core, "board", Part(period="20261123T000000Z")) == {"ann": 5}
    applied = await core.apply(event("bob", 3, at=datetime(2026, 11, 23, 13, tzinfo=NOON.tzinfo)))
    assert dict(applied.unranked)["board", "late"] == 1
    assert await scores(core, "board") == {"ann": 7}


@pytest.mark.parametrize(("before", "after"), [("*/20", "*/10"), ("*/10", "*/20"), ("*/20", "*/15")])
async def test_a_replay_under_another_schedule_hides_no_archive_and_counts_no_event_twice(
    core: Core, at: Any, before: str, after: str
) -> None:
    await core.define("board", period=f"cron: {before} * * * *", operator="count", field=None)
    for minute in range(-90, 10, 5):
        at(minutes(minute))
        await core.apply(event("ann", at=minutes(minute)), received_at=minutes(minute))
        await core.new_closer().close()
    shown = (await core.reader.periods("board")).periods
    counts = [await scores(core, "board", Part(period=each.id)) for each in shown]
    assert len(shown) > 3
    await core.new_replayer().replay(
        "board", rule(period=f"cron: {after} * * * *", operator="count", field=None), dry_run=False
    )
    await core.refresh()
    at(minutes(60))
    await core.new_closer().close()
    listed = (await core.reader.periods("board")).periods
    assert listed[-len(shown) :] == shown
    assert [await scores(core, "board", Part(period=each.id)) for each in shown] == counts
    assert sum([(await scores(core, "board", Part(period=each.id)))["ann"] for each in listed]) == 20
    in_order = list(reversed(listed))
    assert all(
        earlier.ended_at is not None and later.started_at is not None and earlier.ended_at <= later.started_at
        for earlier, later in pairwise(in_order)
    )


async def test_a_definition_that_replaces_one_with_archives_begins_behind_them(core: Core, at: Any) -> None:
    at(minutes(-90))
    await core.define("board", period="hourly")
    await core.apply(event("ann", 5, at=minutes(-90)), received_at=minutes(-90))
    at(NOON)
    await core.new_closer().close()
    await core.define("board", period="daily")
    applied = await core.apply(event("ann", 9, at=minutes(-70)), event("bob", 1))
    assert dict(applied.unranked)["board", "late"] == 1
    assert await scores(core, "board") == {"bob": 1}
    assert (await core.reader.page("board")).period == "20261124T110000Z"
    assert await scores(core, "board", Part(period="20261124T100000Z")) == {"ann": 5}


async def test_a_period_that_is_archived_during_a_replay_under_another_schedule(core: Core, at: Any) -> None:
    """The new rule has counted its events in a longer period: neither is cut, and the board stays as it was."""
    await core.define("board", period="hourly")
    await core.apply(*(event(f"p{n}", n, at=minutes(-90)) for n in range(30)), received_at=minutes(-89))

    async def close() -> None:
        assert await core.new_closer().close() == 1

    with pytest.raises(ConflictError) as caught:
        await between_chunks(core, "board", rule(period="daily"), close)
    assert caught.value.code == "leaderboard_changed"
    await core.refresh()
    part = Part(period="20261124T100000Z")
    assert (await core.reader.page("board", part=part)).total == 30
    assert core.board("board").definition.period == "hourly"
    await core.new_replayer().replay("board", rule(period="daily"), dry_run=False)
    await core.refresh()
    assert (await core.reader.page("board", part=part)).total == 30
    assert await scores(core, "board") == {}


async def test_a_period_that_is_archived_in_part_is_made_anew_as_a_whole(
    core: Core, at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A board of many segments is archived in several rounds; a replay between two of them mixes no rules."""
    monkeypatch.setattr(close_periods, "_ROUND_MAX", 2)
    await core.define("board", period="hourly", segment_by="country")
    countries = ["DE", "FR", "IT", "ES"]
    old = [event(f"p{n % 8}", payload={"score": n, "country": countries[n % 4]}, at=minutes(-90)) for n in range(40)]
    await core.apply(*old, received_at=minutes(-89))
    assert await core.new_closer().close() == 2
    definition = rule(operator="sum", period="hourly", segment_by="country")
    await core.new_replayer().replay("board", definition, dry_run=False)
    await core.refresh()
    part = Part(period="20261124T100000Z")
    for _ in range(4):
        assert await scores(core, "board", part) == {f"p{n}": sum(range(n, 40, 8)) for n in range(8)}
        for number, country in enumerate(countries):
            expected = {f"p{n}": sum(range(n, 40, 8)) for n in (number, number + 4)}
            assert await scores(core, "board", Part(period=part.period, segment=country)) == expected
        await core.new_closer().close()
        await core.sweeper.sweep()
    assert await core.database.pool.fetchval("SELECT count(*) FROM archived_entries") == 16
