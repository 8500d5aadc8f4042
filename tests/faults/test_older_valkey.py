"""A Valkey that comes back with older data serves no rank of then, and its rank indexes are made anew."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from grandstand.embedded.data_folder import open_data_folder
from grandstand.embedded.valkey import Valkey
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.watch_stream import StreamWatcher
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.postgres import Database
from grandstand.storage.stream_history import StreamHistory
from tests.support.core import NOON, Core, core, core_database_url, empty, event, forget_losses, open_core, standing
from tests.support.waiting import eventually_async

__all__ = ["core", "core_database_url"]
pytestmark = pytest.mark.anyio


class Deployment:
    """A core with a Valkey of its own, whose data can be put back."""

    def __init__(self, core: Core, engine: Valkey, copy: Path) -> None:
        self.core = core
        self.engine = engine
        self.copy = copy
        self.watcher = StreamWatcher(core.database, core.streams, StreamHistory(), core.new_memory())

    async def play(self, user_id: str, score: int) -> None:
        """An event comes in, is ranked, and the stream is looked at."""
        sent = event(user_id, score)
        await self.core.stream.append([sent], [], NOON)
        await self.core.apply(sent)
        await self.core.stream.acknowledge(await self.core.stream.read("w", 0, 10))
        await self.watcher.record()

    async def restart(self, *, keep: bool = False, go_back: bool = False) -> None:
        """Stop Valkey and start it again; `keep` a copy of its data, or `go_back` to the copy."""
        await self.engine.stop()
        await asyncio.to_thread(self._move, keep=keep, go_back=go_back)
        await self.engine.start()

    def _move(self, *, keep: bool, go_back: bool) -> None:
        if keep:
            subprocess.run(["cp", "-a", str(self.engine.data), str(self.copy)], check=True)
        if go_back:
            subprocess.run(["rm", "-rf", str(self.engine.data)], check=True)
            subprocess.run(["cp", "-a", str(self.copy), str(self.engine.data)], check=True)


class NoEntries(EntryReads):
    """Says whether PostgreSQL was asked."""

    async def from_rank(self, *_: object) -> object:  # type: ignore[override]
        raise AssertionError("PostgreSQL was asked, though the index is right")


@pytest.fixture
async def deployment(core_database_url: str, valkey_prefix: str, data_dir: Path) -> AsyncIterator[Deployment]:
    with open_data_folder(data_dir) as folder:
        engine = Valkey(folder)
        await engine.start()
        try:
            async with open_core(core_database_url, engine.url, valkey_prefix, keeps=True) as opened:
                await empty(opened.database)
                await forget_losses(opened)
                await opened.definer.ensure_global()
                await opened.refresh()
                await opened.stream.create_group()
                made = Deployment(opened, engine, data_dir.parent / "older")
                await made.watcher.record()
                yield made
        finally:
            await engine.stop()


@pytest.mark.parametrize("is_new_process", [False, True])
async def test_older_ranks_are_not_served(deployment: Deployment, is_new_process: bool) -> None:
    core = deployment.core
    await deployment.play("ann", 10)
    assert [entry.score for entry in (await core.reader.page("global")).entries] == [10]
    await deployment.restart(keep=True)
    await deployment.play("ann", 20)
    await deployment.play("bob", 30)
    before = standing(await core.reader.page("global"))
    assert [entry.score for entry in before] == [30, 20]
    await deployment.restart(go_back=True)
    reader = core.new_reader() if is_new_process else core.reader
    assert await core.is_complete("global"), "the older index agrees with itself"
    for _ in range(3):
        assert standing(await reader.page("global")) == before
    await deployment.watcher.record()
    assert not await core.is_complete("global"), "what is older is removed when it is noticed"
    assert standing(await reader.page("global")) == before
    await core.new_keeper().keep()
    assert await core.is_complete("global")
    assert standing(await _from_index_alone(core).page("global")) == before
    assert await core.database.pool.fetchval("SELECT string_agg(reason, ',') FROM stream_losses") == "went_back"


async def test_ranks_are_served_from_the_index_after_a_restart_that_lost_nothing(deployment: Deployment) -> None:
    core = deployment.core
    await deployment.play("ann", 10)
    reader = _from_index_alone(core)
    before = standing(await reader.page("global"))
    await deployment.restart()

    async def is_served() -> bool:
        # A machine that is slow to ask PostgreSQL for the mark reads from PostgreSQL, once.
        return standing(await reader.page("global")) == before

    await eventually_async(is_served)
    assert await core.database.pool.fetchval("SELECT count(*) FROM stream_losses") == 0


async def test_older_ranks_are_not_served_while_postgresql_is_away(deployment: Deployment) -> None:
    """Each process remembers for itself what it has seen."""
    core = deployment.core
    memory = core.new_memory()
    cut_off = Database(core.database.pool, 0.05)
    trust = core.new_trust(cut_off, memory)
    await deployment.play("ann", 10)
    await deployment.restart(keep=True)
    await trust.look()
    await deployment.play("ann", 20)
    await trust.look()
    lent = [await core.database.pool.acquire() for _ in range(core.database.pool.get_max_size())]
    try:
        await deployment.restart(go_back=True)
        await trust.look()
    finally:
        for connection in lent:
            await core.database.pool.release(connection)
    assert memory.newest is not None
    assert memory.newest.reason == "went_back"
    assert not await core.is_complete("global")


def _from_index_alone(core: Core) -> LeaderboardReader:
    return core.new_reader(entry_reads=NoEntries())
