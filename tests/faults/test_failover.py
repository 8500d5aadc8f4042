"""Another server takes over: connections to the one before lead nowhere and are given up by themselves."""

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from valkey.asyncio import Valkey as Client

from grandstand.domain.errors import UnavailableError
from grandstand.embedded.data_folder import open_data_folder
from grandstand.embedded.valkey import SOCKET, Valkey
from grandstand.storage.event_stream import HIGH, LOW, EventStream
from grandstand.storage.valkey import open_valkey
from tests.faults.ways import open_way
from tests.support.core import NOON, Core, core, core_database_url, event
from tests.support.engines import RunningEngines

__all__ = ["core", "core_database_url"]
pytestmark = pytest.mark.anyio


@pytest.fixture
async def demoted(data_dir: Path) -> AsyncIterator[Path]:
    """The socket of a Valkey that was a primary once."""
    with open_data_folder(data_dir) as folder:
        engine = Valkey(folder)
        await engine.start()
        async with Client.from_url(engine.url) as client:
            await client.execute_command("REPLICAOF", "127.0.0.1", "1")
        yield folder.socket_folder() / SOCKET
        await engine.stop()


async def test_the_stream_follows_the_name_of_the_primary(core: Core, engines: RunningEngines, demoted: Path) -> None:
    with open_way(demoted) as way:
        client = open_valkey(f"valkey://127.0.0.1:{way.port}/0", timeout_seconds=5)
        far = EventStream(client, core.prefix)
        try:
            with pytest.raises(UnavailableError):
                await far.append([event()], [], NOON)
            way.target = engines.socket_folder / "valkey.sock"
            await far.append([event()], [event()], NOON)
            await far.create_group()
            blocks = [*await far.read("w", HIGH, 1), *await far.read("w", LOW, 1)]
            way.target = demoted
            await client.connection_pool.disconnect()
            await client.ping()
            way.target = engines.socket_folder / "valkey.sock"
            await far.acknowledge(blocks)
        finally:
            await client.aclose()
    assert (await core.stream.depth()).depth == 0


async def test_batches_follow_the_name_of_the_primary(
    core: Core, engines: RunningEngines, core_database_url: str
) -> None:
    """Sessions that can only read stay so, as those to a demoted primary; new ones can write."""
    database = core_database_url.partition("@/")[2].partition("?")[0]
    with psycopg.connect(engines.maintenance_url, autocommit=True) as direct:
        direct.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = on".encode())
        try:
            await core.database.pool.expire_connections()
            with pytest.raises(UnavailableError):
                await core.apply(event("ann", 5))
        finally:
            direct.execute(f"ALTER DATABASE {database} RESET default_transaction_read_only".encode())
    await core.apply(event("ann", 5))
    assert (await core.reader.user("global", "ann")).score == 5
