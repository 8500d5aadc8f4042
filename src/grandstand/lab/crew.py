"""The generator processes of one run, from the side of the lab: started, begun together, listened to, ended."""

import asyncio
import sys
import time
from collections.abc import Callable

import msgspec

from grandstand.lab.errors import LabError
from grandstand.lab.frames import frame_of, next_frame
from grandstand.lab.generator import Ended, Order, Second

_BEGIN_AFTER_SECONDS = 0.2
_Message = Second | Ended


class Crew:
    """So many processes for one load. Use as an async context manager: leaving it ends them."""

    def __init__(self, orders: list[Order]) -> None:
        self._orders = orders
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> "Crew":
        try:
            for order in self._orders:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "grandstand.lab.generator",
                    stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                )  # fmt: skip
                self._processes.append(process)
                self._write(process, order)
            for process in self._processes:
                await self._next(process)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    @property
    def pids(self) -> list[int]:
        """Process ids."""
        return [process.pid for process in self._processes]

    async def load(self, second: Callable[[Second], None]) -> list[Ended]:
        """Let them send; `second` is told what each reports.

        Raises:
            LabError: one of them ended unexpectedly.
        """
        begin_at = time.monotonic() + _BEGIN_AFTER_SECONDS
        for process in self._processes:
            self._write(process, begin_at)
        return await asyncio.gather(*(self._listen(process, second) for process in self._processes))

    async def _listen(self, process: asyncio.subprocess.Process, second: Callable[[Second], None]) -> Ended:
        while True:
            message = msgspec.msgpack.decode(await self._next(process), type=_Message)
            if isinstance(message, Ended):
                return message
            second(message)

    def _write(self, process: asyncio.subprocess.Process, message: object) -> None:
        assert process.stdin is not None  # noqa: S101 - it was asked for
        process.stdin.write(frame_of(message))

    async def _next(self, process: asyncio.subprocess.Process) -> bytes:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        try:
            return await next_frame(process.stdout)
        except asyncio.IncompleteReadError:
            raise LabError(f"A generator process ended unexpectedly ({await process.wait()}).") from None

    async def _end(self) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
