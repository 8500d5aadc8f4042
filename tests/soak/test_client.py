"""The soak's HTTP client: a reply, or that there was none; and no connection is left behind."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from soak.client import Client, Reply

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}'


@asynccontextmanager
async def served(answer: Answer) -> AsyncIterator[Client]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof() and not writer.is_closing():
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            await answer(writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "key") as client:
            yield client
    finally:
        server.close()
        await asyncio.sleep(0)
        # An unclosed connection is a warning when it is collected, and warnings are errors here.
        gc.collect()


async def ask(client: Client, count: int) -> list[Reply]:
    return await asyncio.gather(*(client.ask("GET", "/", limit=1) for _ in range(count)))


async def test_replies_over_connections_that_the_server_closes() -> None:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        writer.close()

    async with served(answer) as client:
        for _ in range(3):
            assert [(reply.status, reply.body) for reply in await ask(client, 5)] == [(200, {"a": 1})] * 5


async def test_what_is_no_reply_is_told() -> None:
    async def break_off(writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:-3])
        writer.close()

    async with served(break_off) as client:
        assert {reply.status for reply in await ask(client, 5)} == {None}
    assert (await client.ask("GET", "/")).error.startswith("ConnectionRefusedError")
