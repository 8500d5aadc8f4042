import asyncio

import pytest
import uvloop
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand.storage.valkey import open_valkey


def test_a_connection_that_broke_a_moment_ago_is_out_of_reach(valkey_url: str) -> None:
    async def write_to_a_closed_one() -> None:
        client = open_valkey(valkey_url, timeout_seconds=5)
        try:
            connection = await client.connection_pool.get_connection("PING")
            connection._writer.transport.abort()
            await asyncio.sleep(0)
            with pytest.raises(ValkeyConnectionError):
                await connection.send_command("PING", check_health=False)
            await client.connection_pool.release(connection)
            assert await client.ping()
        finally:
            await client.aclose()

    # The product runs on uvloop, whose closed transports raise what those of plain asyncio do not.
    uvloop.run(write_to_a_closed_one())


def test_who_is_cancelled_while_a_command_is_sent_stays_so(valkey_url: str) -> None:
    async def cancel_often() -> list[int]:
        client = open_valkey(valkey_url, timeout_seconds=5)

        async def ask_on() -> None:
            while True:
                await client.ping()

        lost = []
        try:
            for turns in range(300):
                asking = asyncio.create_task(ask_on())
                # Each time a few steps of the loop later: somewhere else in a command.
                for _ in range(turns % 30):
                    await asyncio.sleep(0)
                asking.cancel()
                await asyncio.wait([asking], timeout=10)
                if not asking.done():
                    lost.append(turns)
                    while not asking.done():
                        asking.cancel()
                        await asyncio.wait([asking], timeout=0.1)
        finally:
            await client.aclose()
        return lost

    assert uvloop.run(cancel_often()) == []
