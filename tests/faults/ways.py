"""A way to an engine for other processes: it can be cut, held (a black hole), slowed and led elsewhere."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Way:
    """Passes bytes from a TCP port to a Unix socket, in a thread of its own; methods may be called from outside."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.delay_seconds = 0.0
        self.port = 0
        self._is_cut = False
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._ends: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Break every connection and every new one, as an engine that is not there."""
        self._is_cut = True
        self._call(self._abort)

    def mend(self) -> None:
        """Let connections through again, at their full speed."""
        self._is_cut = False
        self.delay_seconds = 0.0
        self._call(self._flowing.set)

    def hold(self) -> None:
        """Take connections and bytes and pass nothing on, as a frozen engine or a network that swallows everything."""
        self._call(self._flowing.clear)

    def _call(self, what: Callable[[], Any]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (what(), done.set()))
        done.wait(5)

    def _abort(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        both = {writer}
        self._ends |= both
        try:
            if self._is_cut:
                return
            far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            both.add(far_writer)
            self._ends |= both
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        except OSError:
            pass
        finally:
            self._ends -= both
            for end in both:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flowing.wait()
                if self.delay_seconds:
                    await asyncio.sleep(self.delay_seconds)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@contextmanager
def open_way(target: Path) -> Iterator[Way]:
    """A way to a Unix socket, closed at the end."""
    way = Way(target)
    thread = threading.Thread(target=way._loop.run_forever, name="way", daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(way.serve(), way._loop).result(5)

    try:
        yield way
    finally:
        way._is_cut = True
        way._loop.call_soon_threadsafe(way._flowing.set)
        way._call(server.close)
        way._call(way._abort)
        ended = asyncio.run_coroutine_threadsafe(_end_tasks(), way._loop)
        ended.result(5)
        way._loop.call_soon_threadsafe(way._loop.stop)
        thread.join()
        way._loop.close()


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
