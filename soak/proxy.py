"""A way through loopback that can be cut, slowed and robbed of its replies."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Mode = Literal["pass", "cut", "delay", "mute"]
"""pass: as if it were not there · cut: every connection breaks, new ones too · delay: what passes is late · mute: what
clients send arrives, and instead of the reply the connection breaks."""

_CHUNK_BYTES = 65_536


class Proxy:
    """Passes bytes from a TCP port of its own to a target."""

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self._connect = connect
        self._mode: Mode = "pass"
        self._delay_seconds = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self) -> None:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Break every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            self.set("cut")
            await self._server.wait_closed()

    def set(self, mode: Mode, delay_seconds: float = 0.0) -> None:
        """Change what happens to bytes from now on."""
        self._mode, self._delay_seconds = mode, delay_seconds
        if mode == "cut":
            for writer in self._writers:
                writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._mode == "cut":
            writer.transport.abort()
            return
        try:
            target_reader, target_writer = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        both = {writer, target_writer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pump(reader, target_writer, is_reply=False), self._pump(target_reader, writer, is_reply=True)
            )
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK_BYTES):
                if self._mode == "mute" and is_reply:
                    break
                if self._mode == "delay":
                    await asyncio.sleep(self._delay_seconds)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


def to_port(port: Callable[[], int]) -> Callable[[], Awaitable[Streams]]:
    """Return how to reach a TCP port of this machine, which is asked for at each connection."""
    return lambda: asyncio.open_connection("127.0.0.1", port())


def to_socket(path: Path) -> Callable[[], Awaitable[Streams]]:
    """Return how to reach a Unix socket."""
    return lambda: asyncio.open_unix_connection(path)
