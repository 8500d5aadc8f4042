"""Periods that end while events stream in: each event in exactly one or counted as late, and the archive as it was."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from grandstand import clock
from grandstand.domain.errors import ConflictError, InvalidError, NotFoundError
from grandstand.domain.event_model import decode_events
from grandstand.domain.leaderboards import TieBreak, Tier
from grandstand.operations.close_periods import PeriodCloser
from grandstand.operations.find_ranking import Part
from grandstand.storage.event_stream import HIGH, LOW
from tests.support import model
from tests.support.core import NOON, Core, event, minutes, standing
from tests.support.world import Board, Comparison, name_of

pytestmark = pytest.mark.anyio

USERS = [f"p{number}" for number in range(40)]
START = datetime(2026, 11, 24, 11, 40, tzinfo=UTC)


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Says what time it is."""

    def set_to(moment: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: moment)

    set_to(NOON)
    return set_to


async def ranking_states(core: Core, key: str) -> dict[tuple[str, str], str]:
    found = await core.database.pool.fetch(
        "SELECT started_at, part, state FROM rankings JOIN leaderboards USING (leaderboard_id) WHERE key = $1", key
    )
    return {(name_of(row["started_at"]), row["part"]): row["state"] for row in found}


class Stream:
    """Events that stream in while periods end, with everything that has a hand in it."""

    def __init__(self, core: Core, boards: dict[str, Board], at: Callable[[datetime], None]) -> None:
        self.core = core
        self.boards = boards
        self.at = at
        self.now = START
        self.sent = 0
        self.late: Counter[str] = Counter()
        self.counted_late: Counter[str] = Counter()
        self.is_done = asyncio.Event()
        self._randomly = random.Random(5)

    async def produce(self) -> None:
        while self.now < START + timedelta(hours=3, minutes=10):
            self.now += timedelta(seconds=self._randomly.choice([3, 10, 45, 90]))
            self.at(self.now)
            events = [self._event() for _ in range(self._randomly.randint(1, 12))]
            await self.core.stream.append(events[::2], events[1::2], self.now)
            self.sent += len(events)
            while (await self.core.stream.depth()).depth > 400:
                await asyncio.sleep(0)

    def _event(self) -> Any:
        ago = self._randomly.choice([0, 0, 1, 5, 60, 115, 125, 300, 4000, -90])
        payload = {"score": self._randomly.randrange(50), "country": self._randomly.choice(["DE", "FR"])}
        return event(self._randomly.choice(USERS), at=self.now - timedelta(seconds=ago), payload=payload)

    async def work(self, name: str) -> None:
        applier, stream = self.core.new_applier(), self.core.stream
        while not self.is_done.is_set() or (await stream.depth()).depth:
            blocks = await stream.read(name, HIGH, 5) + await stream.read(name, LOW, 5)
            if not blocks:
                await asyncio.sleep(0.001)
                continue
            for (key, reason), count in (await applier.apply(blocks)).unranked.items():
                assert reason == "late"
                self.counted_late[key] += count
            for each, received_at in (
                (each, block.received_at) for block in blocks for each in decode_events(block.data)
            ):
                self._take(each, received_at)
            await stream.acknowledge(blocks)

    def _take(self, each: Any, received_at: datetime) -> None:
        for board in self.boards.values():
            before = len(board.counted)
            board.take(each, received_at)
            self.late[board.key] += before == len(board.counted)

    async def repeat(self, action: Callable[[], Any]) -> None:
        while not self.is_done.is_set():
            await action()
            await asyncio.sleep(0.002)

    async def read(self) -> None:
        """An archive never changes, and no page has a hole."""
        seen: dict[str, list[Any]] = {}
        while not self.is_done.is_set():
            for period in (await self.core.reader.periods("sums")).periods:
                before = await ranking_states(self.core, "sums")
                rows = standing(await self.core.reader.page("sums", limit=1000, part=Part(period=period.id)))
                assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
                assert rows == seen.get(period.id, rows)
                if before[period.id, ""] == "archived":
                    seen[period.id] = rows


async def test_every_event_is_in_exactly_one_period(core: Core, at: Any) -> None:
    """Several workers, two closers, a sweeper and a reader, while the clock runs through three ends of an hour."""
    boards = {
        "sums": {"operator": "sum", "period": "hourly"},
        "best": {"period": "hourly", "order": "asc", "segment_by": "country"},
        "buckets": {"operator": "count", "period": "hourly", "bucket_size": 7},
    }
    for key, values in boards.items():
        await core.define(key, **values)
    stream = Stream(core, {key: Board(key, core.board(key).definition, 0) for key in boards}, at)
    await core.stream.create_group()
    others = [
        asyncio.ensure_future(task)
        for task in (
            *(stream.work(name) for name in "abc"),
            *(stream.repeat(core.new_closer().close) for _ in range(2)),
            stream.repeat(core.sweeper.sweep),
            stream.read(),
        )
    ]
    try:
        await stream.produce()
    finally:
        stream.is_done.set()
        await asyncio.gather(*others)

    at(now := stream.now + timedelta(hours=2))
    while await core.new_closer().close():
        pass
    await core.sweeper.sweep()
    assert stream.counted_late == stream.late
    assert stream.late["sums"] > 10
    assert len(stream.boards["sums"].counted) + stream.late["sums"] == stream.sent
    for board in stream.boards.values():
        board.close(now)
        assert len(board.archived) >= 4
        for _ in range(3):
            await Comparison(core.reader, board, now, random.Random(1), USERS).run()
    left = "SELECT count(*) FROM entries JOIN rankings USING (ranking_id) WHERE state <> 'live'"
    assert await core.database.pool.fetchval(left) == 0


async def test_a_period_waits_for_what_is_in_the_stream(core: Core, at: Any) -> None:
    """However long the workers were away."""
    await core.define("board", period="hourly")
    await core.apply(kept := event("ann", 1, at=minutes(-5)), received_at=minutes(-5))
    await core.stream.create_group()
    last = event("bob", 2, at=minutes(-1))
    await core.stream.append([last], [], minutes(1.9))
    at(minutes(600))
    for _ in range(3):
        assert await core.new_closer().close() == 0
    blocks = await core.stream.read("w", HIGH, 10)
    assert dict((await core.applier.apply(blocks)).unranked) == {}
    assert await core.new_closer().close() == 0, "delivered is not finished"
    await core.stream.acknowledge(blocks)
    assert await core.new_closer().close() == 1
    found = await core.reader.page("board", part=Part(period="20261124T110000Z"))
    definition = core.board("board").definition
    assert standing(found) == model.standings(definition, [kept, last])


async def test_the_grace_to_the_second(core: Core, at: Any) -> None:
    await core.define("board", operator="count", period="hourly")
    inside = event("ann", 1, at=NOON - timedelta(microseconds=1))
    applied = await core.apply(inside, received_at=minutes(2) - timedelta(microseconds=1))
    assert dict(applied.unranked) == {}
    applied = await core.apply(event("bob", 1, at=NOON - timedelta(microseconds=1)), received_at=minutes(2))
    assert dict(applied.unranked) == {("board", "late"): 1}
    applied = await core.apply(event("cy", 1, at=NOON), received_at=minutes(2))
    assert dict(applied.unranked) == {}
    at(minutes(2))
    before = await core.reader.page("board", part=Part(period="20261124T110000Z"))
    now = await core.reader.page("board")
    assert [entry.user_id for entry in before.entries] == ["ann"]
    assert [entry.user_id for entry in now.entries] == ["cy"]
    assert now.period_ends_at == NOON + timedelta(hours=1)
    assert await core.count_events() == 3, "what is late is stored all the same"


async def test_two_schedulers_do_each_step_once(core: Core, at: Any) -> None:
    """One of them is behind: it goes on with what it saw before the other closed, archived and swept it all."""
    await core.define("board", period="hourly")
    await core.apply(event("ann", 1, at=minutes(-5)), event("bob", 2, at=minutes(-5)))
    at(minutes(10))
    slow = core.new_closer()
    end_writing = slow._end_writing

    async def overtaken(ranking_ids: list[int]) -> None:
        assert await core.new_closer().close() == 1
        await core.sweeper.sweep()
        await end_writing(ranking_ids)

    slow._end_writing = overtaken  # type: ignore[method-assign]
    assert await slow.close() == 0
    assert await ranking_states(core, "board") == {("20261124T110000Z", ""): "archived"}
    page = await core.reader.page("board", part=Part(period="20261124T110000Z"))
    assert [(entry.rank, entry.user_id) for entry in page.entries] == [(1, "bob"), (2, "ann")]
    assert (await core.reader.periods("board")).periods[0].total == 2


async def test_a_board_deleted_while_its_period_closes_stays_deleted(core: Core, at: Any) -> None:
    await core.define("board", period="hourly")
    await core.apply(event("ann", 1, at=minutes(-5)))
    at(minutes(10))
    slow = core.new_closer()
    end_writing = slow._end_writing

    async def deleted(ranking_ids: list[int]) -> None:
        await core.definer.delete("board")
        await end_writing(ranking_ids)

    slow._end_writing = deleted  # type: ignore[method-assign]
    await slow.close()
    await core.sweeper.sweep()
    assert await ranking_states(core, "board") == {("20261124T110000Z", ""): "dropped"}


async def close_and_sweep(core: Core, closer: PeriodCloser) -> None:
    await closer.close()
    await core.sweeper.sweep()


@pytest.mark.parametrize("died_after", ["closing", "archiving", "sweeping entries"])
async def test_a_scheduler_that_dies_on_the_way_is_followed_by_another(
    core: Core, at: Any, died_after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await core.define("board", period="hourly")
    await core.apply(*(event(f"p{number}", number, at=minutes(-5)) for number in range(10)))
    at(minutes(10))
    closer = core.new_closer()
    part = Part(period="20261124T110000Z")
    shown = standing(await core.reader.page("board", part=part))

    async def die(*arguments: Any, **options: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        if died_after == "closing":
            patched.setattr(closer, "_try", die)
        elif died_after == "archiving":
            patched.setattr(closer, "_announce", die)
        else:
            patched.setattr(core.index, "delete", die)
        with pytest.raises(ZeroDivisionError):
            await close_and_sweep(core, closer)
        assert standing(await core.reader.page("board", part=part)) == shown
    for _ in range(2):
        await core.new_closer().close()
        await core.sweeper.sweep()
        assert standing(await core.reader.page("board", part=part)) == shown
    assert await core.database.pool.fetchval("SELECT count(*) FROM archived_entries") == 10
    hour = await core.database.pool.fetchval("SELECT ranking_id FROM rankings WHERE state = 'archived'")
    assert await core.valkey.exists(*core.index._keys(hour)) == 0


async def test_a_ranking_that_cannot_be_archived_holds_up_no_other(core: Core, at: Any) -> None:
    """The database refuses one of them; the others of the same round are archived, and it follows when it can."""
    for key in ("a", "b", "c"):
        await core.define(key, period="hourly", event_type=key)
        await core.apply(event("ann", 1, at=minutes(-5), event_type=key))
    refused = await core.database.pool.fetchval(
        "SELECT ranking_id FROM rankings JOIN leaderboards USING (leaderboard_id) WHERE key = 'a'"
    )
    await core.database.pool.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
        f"CREATE TRIGGER refuse BEFORE INSERT ON archived_entries FOR EACH ROW WHEN (NEW.ranking_id = {refused})"
        "EXECUTE FUNCTION refuse()"
    )
    at(minutes(10))
    try:
        assert await core.new_closer().close() == 2
        assert await core.new_closer().close() == 0
    finally:
        await core.database.pool.execute("DROP FUNCTION refuse CASCADE")
    assert await core.new_closer().close() == 1


async def test_a_rebuild_of_what_is_archived_meanwhile_leaves_no_index(core: Core, at: Any) -> None:
    """Made of what the sweeper has left, it would be a wrong one."""
    await core.define("board", period="hourly")
    await core.apply(*(event(f"p{number}", number, at=minutes(-5)) for number in range(10)))
    await core.lose_valkey()
    at(minutes(10))
    ranking_id = await core.database.pool.fetchval(
        "SELECT ranking_id FROM rankings JOIN leaderboards USING (leaderboard_id) WHERE key = 'board'"
    )
    keeper = core.new_keeper()
    begin = core.index.begin_rebuild

    async def overtaken(ranking: Any) -> str:
        if ranking.ranking_id == ranking_id:
            await core.new_closer().close()
            await core.sweeper.sweep()
        return await begin(ranking)

    core.index.begin_rebuild = overtaken  # type: ignore[method-assign]
    await keeper.keep()
    assert await core.valkey.exists(*core.index._keys(ranking_id)) == 0
    assert (await core.reader.page("board", part=Part(period="20261124T110000Z"))).total == 10


async def test_resets_by_hand(core: Core, at: Any) -> None:
    """Each makes a period of its own; scores that occurred before it still count there for the grace."""
    await core.define("board", operator="sum")
    await core.apply(event("ann", 1, at=minutes(-5)))
    assert (await core.reader.page("board")).period == "all_time"
    for number in range(3):
        at(minutes(number))
        await core.definer.reset("board")
        await core.refresh()
        await core.apply(
            event("ann", 10**number, at=minutes(number) - timedelta(seconds=1)), received_at=minutes(number)
        )
        page = await core.reader.page("board")
        assert (page.total, page.entries, page.period) == (0, [], name_of(minutes(number)))
    listed = (await core.reader.periods("board")).periods
    assert [(each.id, each.started_at, each.ended_at) for each in listed] == [
        ("20261124T120100Z", minutes(1), minutes(2)),
        ("20261124T120000Z", minutes(0), minutes(1)),
        ("all_time", None, minutes(0)),
    ]
    at(minutes(60))
    assert await core.new_closer().close() == 3
    await core.sweeper.sweep()
    for period, score in (("20261124T120100Z", 100), ("20261124T120000Z", 10), ("all_time", 2)):
        page = await core.reader.page("board", part=Part(period=period))
        assert [entry.score for entry in page.entries] == [score]
        assert page.period == period


async def test_the_first_run_of_a_board_keeps_its_name_under_another_period(core: Core, at: Any) -> None:
    await core.define("board")
    await core.apply(event("ann", 1, at=minutes(-5)))
    await core.definer.reset("board")
    with pytest.raises(ConflictError):
        await core.definer.put("board", b'{"event_type":"x","operator":"count","period":"daily"}')
    at(minutes(10))
    await core.new_closer().close()
    await core.define("board", period="daily")
    assert [each.id for each in (await core.reader.periods("board")).periods] == ["all_time"]
    assert (await core.reader.page("board", part=Part(period="all_time"))).total == 1
    assert (await core.reader.page("board")).total == 0


@pytest.mark.parametrize(
    "period", ["", "x", "all_time", "20261124T110000Z", "20261124T120000Z ", "2026-11-24", "\x00", "99991231T235959Z"]
)
async def test_periods_that_do_not_exist(core: Core, at: Any, period: str) -> None:
    await core.define("board", period="hourly")
    await core.apply(event("ann", 1))
    with pytest.raises(NotFoundError) as caught:
        await core.reader.page("board", part=Part(period=period))
    assert caught.value.code == "period_not_found"


async def test_the_running_period_has_its_name_too(core: Core, at: Any) -> None:
    await core.define("board", period="hourly")
    assert (await core.reader.page("board", part=Part(period="20261124T120000Z"))).total == 0
    await core.apply(event("ann", 1))
    assert (await core.reader.page("board", part=Part(period="20261124T120000Z"))).total == 1


async def test_an_archive_is_read_by_the_definition_that_it_was_made_under(core: Core, at: Any) -> None:
    at(minutes(-90))
    tiers = (Tier("top", min_score=50), Tier("rest", min_score=0))
    await core.define("parts", segment_by="country", keep=["level"], tiers=tiers, tie_breaks=[TieBreak("assists")])
    await core.define("buckets", bucket_size=2)
    payloads = [{"score": n * 10, "level": n, "country": "DE" if n % 2 else "FR", "assists": n} for n in range(10)]
    await core.apply(*(event(f"p{n}", payload=payload, at=minutes(-90)) for n, payload in enumerate(payloads)))
    for key in ("parts", "buckets"):
        await core.definer.reset(key)
    at(NOON)
    await core.new_closer().close()
    await core.refresh()
    parts = [Part("all_time"), Part("all_time", segment="DE")]
    buckets = [Part("all_time"), Part("all_time", bucket="1"), Part("all_time", bucket="5")]

    async def read() -> Any:
        reader = core.new_reader(finder=core.new_finder())
        pages = [await reader.page("parts", user_id="p3", part=part) for part in parts]
        pages += [await reader.page("buckets", user_id="p1", part=part) for part in buckets]
        return [(page.total, page.entries, page.user) for page in pages], [
            (await reader.user("buckets", "p3", part=buckets[0])).bucket,
            (await reader.nearby("parts", "p3", part=parts[1])).entries,
        ]

    before = await read()
    assert before[0][0][1][0].tier == "top"
    assert before[0][0][1][0].metadata == {"level": 9}
    await core.define("parts", tiers=(Tier("other", min_score=50),))
    assert await read() == before
    await core.define("parts", order="asc", tiers=(Tier("other", min_score=50),))
    await core.define("buckets", operator="count", field=None, segment_by="country")
    assert await read() == before
    await core.new_replayer().replay("buckets", None, dry_run=False)
    await core.refresh()
    assert await read() == before
    with pytest.raises(InvalidError):
        await core.reader.page("buckets", part=Part("all_time", segment="DE"))


async def test_what_lies_ahead_is_shown_once_its_period_has_begun(core: Core, at: Any) -> None:
    await core.define("board", period="cron: */5 * * * *", operator="sum")
    await core.apply(event("ann", 1), event("ann", 10, at=minutes(6)), event("bob", 20, at=minutes(6)))
    ahead = Part(name_of(minutes(5)))
    with pytest.raises(NotFoundError) as caught:
        await core.reader.page("board", part=ahead)
    assert caught.value.code == "period_not_found"

    async def boards_of(user_id: str) -> list[datetime]:
        async with core.database.connection() as connection:
            found = await core.rankings.list_of_user(connection, user_id, clock.now(), 10)
        return [
            ranking.name.started_at
            for ranking in found
            if ranking.name.leaderboard_id != core.board("global").leaderboard_id
        ]

    assert (await boards_of("ann"), await boards_of("bob")) == ([NOON], [])
    at(minutes(5))
    assert (await core.reader.page("board", part=ahead)).total == 2
    assert (await core.reader.page("board")).total == 2
    assert await boards_of("ann") == await boards_of("bob") == [minutes(5)]
