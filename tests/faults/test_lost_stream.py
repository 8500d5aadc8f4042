"""A stream that loses what waits in it is noticed, whichever way it happens, and said once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from grandstand.domain.errors import UnavailableError
from grandstand.operations.check_health import HealthChecker
from grandstand.operations.route_reads import Reads
from grandstand.operations.watch_stream import StreamWatcher
from grandstand.storage.event_stream import HIGH
from grandstand.storage.postgres import Database
from grandstand.storage.stream_history import StreamHistory, StreamLoss
from grandstand.telemetry import metrics
from tests.support.core import NOON, Core, core, core_database_url, event, forget_losses

__all__ = ["core", "core_database_url"]
pytestmark = pytest.mark.anyio


class Watched:
    """A deployment's stream and what is known of its losses."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.history = StreamHistory()
        self.watcher = StreamWatcher(core.database, core.streams, self.history, core.new_memory())

    async def losses(self) -> list[tuple[str, int]]:
        """Look, and return all losses so far."""
        await self.watcher.record()
        rows = await self.core.database.pool.fetch("SELECT * FROM stream_losses ORDER BY loss_id")
        return [(row["reason"], row["events_at_risk"]) for row in rows]

    async def newest(self) -> StreamLoss | None:
        async with self.core.database.connection() as connection:
            return await self.history.newest_loss(connection, 60)

    async def dump(self) -> dict[str, bytes]:
        """The stream as it is now."""
        names = [self.key(name) for name in ("high", "low", "depth", "book")]
        return {name: value for name in names if (value := await self.core.valkey.dump(name)) is not None}

    async def restore(self, older: dict[str, bytes]) -> None:
        """As after a restore from older data, or a failover to a replica that lagged."""
        for name, value in older.items():
            await self.core.valkey.restore(name, 0, value, replace=True)

    def key(self, name: str) -> str:
        return f"{self.core.prefix}:{{events}}:{name}"


@pytest.fixture
async def watched(core: Core) -> Watched:
    await forget_losses(core)
    await core.stream.create_group()
    return Watched(core)


async def test_a_stream_that_works_loses_nothing(watched: Watched) -> None:
    stream = watched.core.stream
    for _ in range(3):
        await stream.append([event()] * 3, [event()] * 2, NOON)
        assert await watched.losses() == []
        blocks = await stream.read("w", HIGH, 10)
        assert await watched.losses() == []
        await stream.acknowledge(blocks)
        await stream.acknowledge(blocks)
        assert await watched.losses() == []
    assert await watched.newest() is None


async def test_everything_is_flushed(watched: Watched) -> None:
    await watched.core.stream.append([event()] * 3, [event()] * 2, NOON)
    assert await watched.losses() == []
    await watched.core.lose_valkey()
    await watched.core.stream.append([event()], [], NOON)
    assert await watched.losses() == [("vanished", 5)]
    assert await watched.losses() == [("vanished", 5)], "it is told once"
    newest = await watched.newest()
    assert newest is not None
    assert (newest.reason, newest.events_at_risk) == ("vanished", 5)


async def test_one_stream_is_deleted(watched: Watched) -> None:
    await watched.core.stream.append([event()] * 3, [event()] * 2, NOON)
    await watched.core.valkey.delete(watched.key("low"))
    assert await watched.losses() == [("blocks_missing", 2)]
    assert (await watched.core.stream.depth()).depth == 3
    await watched.core.stream.append([], [event()], NOON)
    assert await watched.losses() == [("blocks_missing", 2)]


async def test_blocks_are_trimmed(watched: Watched) -> None:
    for _ in range(4):
        await watched.core.stream.append([event()] * 3, [], NOON)
    assert await watched.losses() == []
    await watched.core.valkey.xtrim(watched.key("high"), maxlen=1, approximate=False)
    assert [reason for reason, _ in await watched.losses()] == ["blocks_missing"]
    await watched.core.stream.acknowledge(await watched.core.stream.read("w", HIGH, 10))
    await watched.losses()
    assert (await watched.core.stream.depth()).depth == 0, "what is gone waits no more"


async def test_the_server_goes_back_in_time(watched: Watched) -> None:
    """As after a restore from older data, or a failover to a replica that lagged."""
    stream = watched.core.stream
    await stream.append([event()], [event()], NOON)
    assert await watched.losses() == []
    older = await watched.dump()
    await stream.append([event()] * 4, [], NOON)
    await stream.acknowledge(await stream.read("w", HIGH, 10))
    assert await watched.losses() == []
    await watched.restore(older)
    assert await watched.losses() == [("went_back", 1)], "no more than waited, however much came in"
    assert await watched.losses() == [("went_back", 1)]


async def test_a_loss_is_said_while_postgresql_is_away_and_written_down_afterwards(watched: Watched) -> None:
    """That is when the stream holds most."""
    stream, database = watched.core.stream, watched.core.database
    await stream.append([event()] * 2, [], NOON)
    assert await watched.losses() == []
    counted = _counted("vanished")
    memory = watched.core.new_memory()
    cut_off = Database(database.pool, 0.05)
    watcher = StreamWatcher(cut_off, watched.core.streams, watched.history, memory)
    health = HealthChecker(
        cut_off, watched.history, watched.core.streams, memory, watched.core.index, ("ingest",), reads=Reads(cut_off)
    )
    async with _all_connections(database):
        await stream.append([event()] * 3, [event()] * 4, NOON)
        await watcher.look()
        await watched.core.lose_valkey()
        await stream.append([event()], [], NOON)
        await watcher.look()
        await watcher.look()
        assert _counted("vanished") == counted + 1, "said once, without PostgreSQL"
        found = await health.health()
        assert found.postgres == "unreachable"
        assert found.stream.loss is not None
        assert (found.stream.loss.reason, found.stream.loss.events_at_risk) == ("vanished", 9)
        with pytest.raises(UnavailableError):
            await watcher.record()
    await watcher.record()
    assert _counted("vanished") == counted + 1
    assert await watched.losses() == [("vanished", 9)]


async def test_a_stream_that_went_back_and_was_filled_again_meanwhile_is_noticed(watched: Watched) -> None:
    stream = watched.core.stream
    await stream.append([event()], [], NOON)
    await watched.watcher.record()
    older = await watched.dump()
    await stream.append([event()] * 5, [], NOON)
    await watched.watcher.look()
    await watched.restore(older)
    await stream.append([event()] * 2, [], NOON)
    await watched.watcher.look()
    await stream.append([event()] * 9, [], NOON)
    assert await watched.losses() == [("went_back", 3)], "the mark in PostgreSQL alone would not tell"


async def test_what_two_watchers_notice_is_written_down_once(watched: Watched) -> None:
    stream = watched.core.stream
    other = StreamWatcher(watched.core.database, watched.core.streams, watched.history, watched.core.new_memory())
    await stream.append([event()] * 5, [event()], NOON)
    await watched.watcher.record()
    await other.record()
    await watched.core.valkey.delete(watched.key("low"))
    await watched.watcher.look()
    await other.look()
    await other.record()
    assert await watched.losses() == [("blocks_missing", 1)]
    await watched.core.lose_valkey()
    await watched.watcher.look()
    await other.look()
    await other.record()
    assert await watched.losses() == [("blocks_missing", 1), ("vanished", 5)]


async def test_missing_blocks_are_told_again_until_they_are_written_down(watched: Watched) -> None:
    """A watcher that dies between its look and its commit takes nothing along that only it knew."""
    await watched.core.stream.append([event()] * 3, [event()] * 2, NOON)
    await watched.core.valkey.delete(watched.key("low"))
    dead = StreamWatcher(watched.core.database, watched.core.streams, watched.history, watched.core.new_memory())
    await dead.look()
    seen = await watched.core.stream.inspect()
    assert (seen.lost_blocks, seen.lost_events) == (1, 2)
    assert await watched.losses() == [("blocks_missing", 2)]
    await watched.core.stream.append([], [event()], NOON)
    await watched.core.stream.correct(seen)
    assert (await watched.core.stream.depth()).depth == 4, "a correction that comes twice counts once"
    assert await watched.losses() == [("blocks_missing", 2)]


def _counted(reason: str) -> float:
    return metrics.REGISTRY.get_sample_value("grandstand_stream_losses_total", {"reason": reason}) or 0.0


@asynccontextmanager
async def _all_connections(database: Database) -> AsyncIterator[None]:
    """Leave no connection to PostgreSQL to others."""
    lent = [await database.pool.acquire() for _ in range(database.pool.get_max_size())]
    try:
        yield
    finally:
        for connection in lent:
            await database.pool.release(connection)
