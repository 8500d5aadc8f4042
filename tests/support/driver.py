"""Drives a deployment by chance, and the model beside it: one step at a time, each repeated by its seed."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand import clock
from grandstand.domain.errors import ConflictError, NotFoundError
from grandstand.domain.events import decode_events
from grandstand.domain.leaderboards import LeaderboardDefinition, TieBreak, Tier
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.event_stream import HIGH, LOW, Block
from grandstand.storage.ranking_index import RankingIndex
from tests.support import model
from tests.support.core import Core, NoIndex, event
from tests.support.waiting import eventually_async
from tests.support.world import Board, Comparison, World

USERS = ["ann", "bob", "cy", "dee", "é", "\uffff", "\U00010000", "zoë z", "%", "p-9"]
KEYS = ["a", "b.2", "c_3", "D-4", "e"]
CLOSING = timedelta(minutes=2, seconds=10)
"""How long after its end a period is closed when nothing waits in the stream: the grace and some slack."""

STARTS = [
    datetime(2026, 11, 24, 12, tzinfo=UTC),
    datetime(2026, 11, 1, 5, 20, tzinfo=UTC),  # New York: clocks go back at 06:00
    datetime(2027, 3, 14, 4, 50, tzinfo=UTC),  # … and forward at 07:00
    datetime(2026, 10, 3, 13, 10, tzinfo=UTC),  # Lord Howe: forward at 15:30
    datetime(2027, 4, 3, 12, 40, tzinfo=UTC),  # … and back at 15:00
    datetime(2026, 12, 31, 22, 50, tzinfo=UTC),
]


class PublishingFails(RankingIndex):
    """A worker's way to the index that breaks after its commit."""

    async def publish(self, *arguments: Any) -> None:
        raise ValkeyConnectionError("gone")


class Driver:
    """One run; `log` has every step that was taken."""

    def __init__(self, core: Core, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.core = core
        self.randomly = random.Random(seed)
        self.now = self.randomly.choice(STARTS)
        self.world = World()
        self.log: list[str] = []
        self.reads = 0
        self._sent: list[Any] = []
        self._number = 0
        self._appliers = [core.new_applier()]
        self._other = Core(core.database, core.valkey, core.prefix)
        monkeypatch.setattr(clock, "now", lambda: self.now)

    async def run(self, steps: int) -> None:
        """Take so many steps; whenever the stream is drained on the way, everything is compared."""
        await self.core.stream.create_group()
        following = asyncio.ensure_future(self._other.feed.run())
        actions: list[tuple[int, Callable[[], Any]]] = [
            (30, self.write), (6, self.write_directly), (24, self.work), (12, self.tick), (10, self.compare),
            (5, self.define), (4, self.reset), (5, self.remove), (2, self.delete), (4, self.close), (3, self.sweep),
            (5, self.keep), (2, self.reconcile), (4, self.replay), (3, self.restart), (2, self.flush), (5, self.damage),
        ]  # fmt: skip
        weights = [weight for weight, _ in actions]
        try:
            await self._define_new(KEYS[0])
            for _ in range(steps):
                self.now += timedelta(seconds=1)
                action = self.randomly.choices(actions, weights)[0][1]
                self.log.append(f"{self.now:%d %H:%M:%S} {action.__name__}")
                await action()
            await self.compare()
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    def say(self, *what: object) -> None:
        self.log[-1] += " " + " ".join(map(str, what))

    # Events on their way.

    async def write(self) -> None:
        events = [self._event() for _ in range(self.randomly.randint(1, 6))]
        if self._sent and self.randomly.random() < 0.4:
            old = self.randomly.choice(self._sent)
            # Another content under its id, once it is stored: before, workers race for which comes first.
            events.append(self._event(old.id) if str(old.id) in self.world.stored and self._number % 2 else old)
        self._sent += events
        cut = self.randomly.randint(0, len(events))
        self.say(*(f"{each.user_id}@{each.occurred_at:%d %H:%M:%S}{bytes(each.payload).decode()}" for each in events))
        await self.core.stream.append(events[:cut], events[cut:], self.now)

    def _event(self, event_id: UUID | None = None) -> Any:
        randomly = self.randomly
        self._number += 1
        ago = randomly.choice([0, 0, 0, 0, 1, 30, 119, 121, 600, 3600, 86400, 5 * 86400, -60, -540])
        payload: dict[str, Any] = {"score": self._score()}
        if randomly.random() < 0.5:
            payload["stats"] = {"kills": randomly.choice([0, 1, 2, 1.0, -1]), "pro": randomly.choice([True, 1, False])}
        for name, values in (
            ("mode", ["ranked", "casual"]), ("country", ["DE", "FR", 7, True, "", None, "x" * 65]),
            ("level", [1, 2, {"deep": [1]}, None]), ("assists", [0, -0.0, 0.5, 3, -2, 2**53 + 1, "text", 1e300]),
            ("seconds", [10, 10.5, -1, None, True]),
        ):  # fmt: skip
            if randomly.random() < 0.7:
                payload[name] = randomly.choice(values)
        return event(
            randomly.choice(USERS),
            at=self.now - timedelta(seconds=ago),
            event_type=randomly.choice(["game_ended", "game_ended", "match"]),
            event_id=event_id or UUID(int=randomly.getrandbits(128)),
            payload=payload,
        )

    def _score(self) -> Any:
        return self.randomly.choice([0, 0, 1, 1, 2, 3, -1, -2, 2.0, -0.0, model.LIMIT, -model.LIMIT, 1.5, "3", None])

    async def write_directly(self) -> None:
        if not self.world.boards:
            return
        board = self.randomly.choice(list(self.world.boards.values()))
        body = {"user_id": self.randomly.choice(USERS), "score": self.randomly.choice([0, 1, 2, -1, 5])}
        low, high = board.definition.min_score, board.definition.max_score
        is_within = (low is None or body["score"] >= low) and (high is None or body["score"] <= high)
        await self.core.refresh()
        if is_within or board.definition.operator == "count":
            self.say(board.key, body)
            await self.core.writer.write(board.key, msgspec.json.encode(body))

    async def work(self) -> None:
        """Some workers at once; each may die before it publishes or before it acknowledges."""
        await asyncio.gather(*(self._work(number) for number in range(self.randomly.randint(1, 3))))

    async def _work(self, number: int) -> None:
        stream = self.core.stream
        blocks = await stream.read(f"w{number}", self.randomly.choice([HIGH, LOW]), self.randomly.randint(1, 3))
        if not blocks:
            return
        fate = self.randomly.choices(["", "dies unpublished", "dies unacknowledged", "twice"], [70, 8, 12, 10])[0]
        self.say(f"w{number}: {len(blocks)} blocks {fate}")
        self._store(blocks)
        if fate == "dies unpublished":
            applier = self.core.new_applier(PublishingFails(self.core.valkey, self.core.prefix))
            with suppress(ValkeyConnectionError):
                await applier.apply(blocks)
            return
        while len(self._appliers) <= number:
            self._appliers.append(self.core.new_applier())
        await self._appliers[number].apply(blocks)
        if fate == "twice":
            await asyncio.gather(*(self._apply_anew(blocks) for _ in range(2)))
        if fate != "dies unacknowledged":
            await stream.acknowledge(blocks)

    async def _apply_anew(self, blocks: Sequence[Block]) -> None:
        await self.core.new_applier().apply(blocks)

    def _store(self, blocks: Sequence[Block]) -> None:
        for block in blocks:
            for each in decode_events(block.data):
                self.world.store(each, block.received_at)

    async def drain(self) -> None:
        """Finish what waits and what died, as the workers that are left do."""
        stream = self.core.stream
        while (await stream.depth()).depth:
            blocks = await stream.claim_stalled("last", 0, 100)
            for priority in (HIGH, LOW):
                blocks += await stream.read("last", priority, 100)
            self._store(blocks)
            await self._appliers[0].apply(blocks)
            await stream.acknowledge(blocks)

    # Boards.

    async def define(self) -> None:
        key = self.randomly.choice(KEYS)
        board = self.world.boards.get(key)
        if board is None:
            await self._define_new(key)
            return
        wanted = self._definition()
        if self.randomly.random() < 0.6:
            old = board.definition
            wanted = msgspec.structs.replace(
                old, title=wanted.title, tiers=wanted.tiers if wanted.order == old.order else ()
            )
        self.say(key, wanted)
        changes_rules = wanted.rules() != board.definition.rules()
        try:
            await self.core.definer.put(key, msgspec.json.encode(wanted))
        except ConflictError:
            assert changes_rules
            assert board.counted
            return
        assert not (changes_rules and board.counted), "two rules were mixed"
        if changes_rules:
            board.begin_anew(wanted, [])
        board.definition = wanted

    async def _define_new(self, key: str) -> None:
        definition = self._definition()
        self.log.append(f"define {key} {definition}")
        _, is_new = await self.core.definer.put(key, msgspec.json.encode(definition))
        assert is_new
        await self.core.refresh()
        self.world.boards[key] = Board(key, definition, self.core.board(key).leaderboard_id)

    def _definition(self) -> LeaderboardDefinition:
        choose, chance = self.randomly.choice, self.randomly.random
        operator = choose(["best", "best", "latest", "sum", "count"])
        order = choose(["desc", "asc"])
        period, timezone = choose(
            [
                ("all_time", "UTC"),
                ("all_time", "Pacific/Apia"),
                ("hourly", "Australia/Lord_Howe"),
                ("hourly", "America/New_York"),
                ("daily", "America/New_York"),
                ("daily", "Asia/Kathmandu"),
                ("weekly", "Australia/Lord_Howe"),
                ("monthly", "America/New_York"),
                ("cron: */20 * * * *", "UTC"),
                ("cron: 30 4,16 * * *", "Asia/Kathmandu"),
                ("cron: 0 */6 * * 1,3,5", "UTC"),
            ]
        )
        tie_breaks = [TieBreak("assists", choose(["desc", "asc"])), TieBreak("seconds", choose(["desc", "asc"]))]
        sign = -1 if order == "desc" else 1
        tiers = choose(
            [
                (),
                (),
                (Tier("gold", top_percent=10.0), Tier("silver", top_percent=33.4), Tier("rest", top_percent=100.0)),
                (Tier("gold", top_percent=50.0),),
                (Tier("up", min_score=-2 * sign), Tier("down", min_score=sign)),
            ]
        )
        segment_by = choose([None, None, "country", "stats.kills"])
        return LeaderboardDefinition(
            event_type=choose(["game_ended", "game_ended", "match"]),
            operator=operator,
            title=choose([None, "One", "Two"]),
            field=choose(["score", "score", "stats.kills", "assists", *([None] if operator == "count" else [])]),
            where=choose([None, None, {"mode": "ranked"}, {"stats.pro": True}, {"stats.pro": 1, "mode": "casual"}]),
            order=order,
            period=period,
            timezone=timezone,
            min_score=choose([None, None, 0, -1]),
            max_score=choose([None, None, None, 2]),
            segment_by=segment_by,
            keep=choose([(), ("level",), ("level", "stats.kills")]),
            tiers=tiers,
            bucket_size=choose([2, 3, 5]) if segment_by is None and chance() < 0.3 else None,
            tie_breaks=tuple(tie_breaks[: choose([0, 1, 2])]) if operator in ("best", "latest") else (),
        )

    def _board(self) -> Board | None:
        return self.randomly.choice(list(self.world.boards.values())) if self.world.boards else None

    async def reset(self) -> None:
        board = self._board()
        if board is not None:
            self.say(board.key)
            await self.core.definer.reset(board.key)
            board.reset(self.now)

    async def remove(self) -> None:
        board = self._board()
        if board is None:
            return
        user_id = self.randomly.choice(USERS)
        self.say(board.key, user_id)
        is_there = board.remove(user_id, self.now)
        try:
            await self.core.definer.remove_user(board.key, user_id)
        except NotFoundError as error:
            assert error.code == "not_ranked"  # noqa: PT017
            assert not is_there
        else:
            assert is_there

    async def delete(self) -> None:
        board = self._board()
        if board is not None:
            self.say(board.key)
            await self.core.definer.delete(board.key)
            del self.world.boards[board.key]

    async def replay(self) -> None:
        """Recompute a board while workers go on."""
        board = self._board()
        if board is None:
            return
        definition = self.randomly.choice([None, self._definition()])
        is_dry = self.randomly.random() < 0.3
        self.say(board.key, definition, "dry" if is_dry else "")
        replaying = self.core.new_replayer().replay(board.key, definition, dry_run=is_dry)
        await asyncio.gather(replaying, self._write_and_work())
        if not is_dry:
            board.begin_anew(definition or board.definition, self.world.stored.values())

    async def _write_and_work(self) -> None:
        for _ in range(self.randomly.randint(0, 3)):
            await self.write()
            await self._work(0)

    # The passing of time, and what goes wrong.

    async def tick(self) -> None:
        self.now += timedelta(seconds=self.randomly.choice([1, 20, 60, 119, 180, 1200, 3600, 4 * 3600, 86400]))
        self.say("to", self.now)

    async def close(self) -> None:
        waiting = [
            int(fields[b"r"]) / 1e6
            for name in ("high", "low")
            for _, fields in await self.core.valkey.xrange(f"{self.core.prefix}:{{events}}:{name}")
        ]
        until = min([self.now, *(datetime.fromtimestamp(each, UTC) for each in waiting)]) - CLOSING
        closers = [self.core.new_closer() for _ in range(self.randomly.randint(1, 2))]
        await asyncio.gather(*(closer.close() for closer in closers))
        for board in self.world.boards.values():
            board.close(until)

    async def sweep(self) -> None:
        await self.core.sweeper.sweep()

    async def keep(self) -> None:
        await self.core.new_keeper().keep()

    async def reconcile(self) -> None:
        reconciler = self.core.new_reconciler()
        for _ in range(5):
            await reconciler.reconcile()

    async def restart(self) -> None:
        """Nothing that was remembered matters."""
        self._appliers = [self.core.new_applier()]
        catalog = LeaderboardCatalog(self.core.store)
        self.core.catalog = catalog
        self.core.finder = self.core.new_finder()
        self.core.reader = self.core.new_reader(finder=self.core.finder)
        self.core.writer._finder = self.core.finder

    async def flush(self) -> None:
        await self.drain()
        await self.core.lose_valkey()
        await self.core.stream.create_group()

    async def damage(self) -> None:
        """Some keys of rank indexes go away by themselves."""
        names = [name async for name in self.core.valkey.scan_iter(f"{self.core.prefix}:{{r*", count=1000)]
        for name in sorted(self.randomly.sample(sorted(names), min(len(names), self.randomly.randint(1, 3)))):
            # A list of removals lives and dies with its index: alone it cannot be missed.
            whole = [name.rpartition(b":")[0] + part for part in (b":ranks", b":holders", b":metadata", b":removed")]
            gone = whole if name.endswith(b":removed") else [name]
            self.say(*gone)
            await self.core.valkey.delete(*gone)

    async def compare(self) -> None:
        await self.drain()
        await self.core.refresh()
        reader = await self._reader()
        for key in sorted(self.world.boards):
            comparison = Comparison(reader, self.world.boards[key], self.now, self.randomly, [*USERS, "nobody", "\x00"])
            await comparison.run()
            self.reads += comparison.reads
        for key in set(KEYS) - set(self.world.boards):
            with pytest.raises(NotFoundError):
                await reader.page(key)

    async def _reader(self) -> LeaderboardReader:
        match self.randomly.choice(["index", "rebuilt index", "entries", "other process"]):
            case "index":
                return self.core.reader
            case "rebuilt index":
                for _ in range(2):
                    await self.core.new_keeper().keep()
                return self.core.new_reader(entry_reads=NotAsked())  # type: ignore[arg-type]
            case "entries":
                return self.core.new_reader(NoIndex(self.core.valkey, self.core.prefix))
            case _:
                return await self._other_reader()

    async def _other_reader(self) -> LeaderboardReader:
        """A process that lives through the whole run, and goes by what it hears of changes."""
        other, feed = self._other, self._other.feed
        await eventually_async(lambda: feed.generation(0) is not None)
        await self._hear(feed)
        await other.refresh()
        return other.reader

    async def _hear(self, feed: ChangeFeed) -> None:
        before = feed.generation(-1)
        await self.core.changes.rankings([-1])
        await eventually_async(lambda: feed.generation(-1) != before)


class NotAsked:
    """Stands where PostgreSQL's reads of running periods stand while the index is complete."""

    async def total(self, connection: Any, ranking: Any) -> int:
        """Closed periods in the list of periods are counted there."""
        count: int = await connection.fetchval("SELECT count(*) FROM entries WHERE ranking_id = $1", ranking.ranking_id)
        return count

    def __getattr__(self, name: str) -> Any:
        raise AssertionError("the rank index should have answered")


async def drive(core: Core, seed: int, steps: int, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Run a driver; whatever goes wrong is raised with the seed and the steps that led there."""
    driver = Driver(core, seed, monkeypatch)
    try:
        await driver.run(steps)
    except BaseException as error:
        error.add_note(f"seed {seed}, after {len(driver.log)} steps:\n" + "\n".join(driver.log))
        raise
    return driver
