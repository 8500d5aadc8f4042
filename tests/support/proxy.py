"""A way to an engine that a test can cut and mend, so that the engine is away without being stopped for others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


class Proxy:
    """Passes bytes from a TCP port of its own to a Unix socket, or to another port of this machine."""

    def __init__(self, target: Path | int) -> None:
        self._target = target
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.refused = 0
        """Connections that were tried while the way was cut."""

    @property
    def connections(self) -> int:
        """Connections that are through right now, also those of which nothing is passed on."""
        return len(self._writers) // 2

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection and every new one."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    def hold(self) -> None:
        """Pass nothing on, and break nothing."""
        self._flows.clear()

    def release(self) -> None:
        """Pass on what is held."""
        self._flows.set()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            self.refused += 1
            writer.transport.abort()
            return
        if isinstance(self._target, Path):
            target_reader, target_writer = await asyncio.open_unix_connection(self._target)
        else:
            target_reader, target_writer = await asyncio.open_connection("127.0.0.1", self._target)
        both = {writer, target_writer}
        if self._is_cut:  # meanwhile: nobody has broken this one
            self.refused += 1
            for end in both:
                end.transport.abort()
            return
        self._writers |= both
        try:
            await asyncio.gather(self._pump(reader, target_writer), self._pump(target_reader, writer))
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def open_proxy(target: Path | int) -> AsyncIterator[Proxy]:
    """A proxy to a Unix socket or a port, closed at the end."""
    proxy = Proxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
