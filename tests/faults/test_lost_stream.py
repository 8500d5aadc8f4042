"""A stream that loses what waits in it is noticed, whichever way it happens, and said once."""

import pytest

from grandstand.operations.watch_stream import StreamWatcher
from grandstand.storage.event_stream import HIGH
from grandstand.storage.stream_history import StreamHistory, StreamLoss
from tests.support.core import NOON, Core, core, core_database_url, event

__all__ = ["core", "core_database_url"]
pytestmark = pytest.mark.anyio


class Watched:
    """A deployment's stream and what is known of its losses."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.history = StreamHistory()
        self.watcher = StreamWatcher(core.database, core.stream, self.history)

    async def losses(self) -> list[tuple[str, int]]:
        """Look, and return all losses so far."""
        await self.watcher.watch()
        rows = await self.core.database.pool.fetch("SELECT * FROM stream_losses ORDER BY loss_id")
        return [(row["reason"], row["events_at_risk"]) for row in rows]

    async def newest(self) -> StreamLoss | None:
        async with self.core.database.connection() as connection:
            return await self.history.newest_loss(connection, 60)

    def key(self, name: str) -> str:
        return f"{self.core.prefix}:{{events}}:{name}"


@pytest.fixture
async def watched(core: Core) -> Watched:
    await core.database.pool.execute("DELETE FROM stream_losses; DELETE FROM stream_mark")
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
    valkey, stream = watched.core.valkey, watched.core.stream
    await stream.append([event()], [event()], NOON)
    assert await watched.losses() == []
    keys = [watched.key(name) for name in ("high", "low", "depth", "book")]
    older = [await valkey.dump(key) for key in keys]
    await stream.append([event()] * 4, [], NOON)
    await stream.acknowledge(await stream.read("w", HIGH, 10))
    assert await watched.losses() == []
    for key, value in zip(keys, older, strict=True):
        assert value is not None
        await valkey.restore(key, 0, value, replace=True)
    assert await watched.losses() == [("went_back", 4)]
    assert await watched.losses() == [("went_back", 4)]
