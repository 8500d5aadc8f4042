"""Work in a process of its own, in two steps: prepared first, begun at a word, so that only the second is measured."""

import asyncio
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")

_context = multiprocessing.get_context("spawn")
_END_TIMEOUT_SECONDS = 10.0


class JobError(Exception):
    """A job failed; the message is its traceback."""


class Job(Generic[T]):
    """One job. `prepare(order)` runs in the new process and returns the function that `begin` starts there.

    Both `prepare` (a function of a module) and `order` are pickled. Use it as an async context manager: entering waits
    until it is prepared, leaving ends the process.
    """

    def __init__(self, prepare: Callable[[S], Callable[[], T]], order: S) -> None:
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(target=_run, args=(prepare, order, theirs), daemon=True)
        self._theirs = theirs
        self._result: tuple[T] | None = None

    async def __aenter__(self) -> "Job[T]":
        self._process.start()
        self._theirs.close()
        try:
            await self._receive()
        except BaseException:
            end_process(self._process)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        end_process(self._process)
        self._pipe.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid or 0

    def begin(self) -> None:
        """Let the prepared work begin."""
        self._pipe.send(None)

    async def result(self) -> T:
        """Wait for the work and return what it returned; asking again gives the same.

        Raises:
            JobError: it failed.
        """
        if self._result is None:
            self._result = (await self._receive(),)
        return self._result[0]

    async def _receive(self) -> Any:
        try:
            is_well, value = await asyncio.to_thread(self._pipe.recv)
        except EOFError:
            raise JobError("The process of a job ended unexpectedly.") from None
        if not is_well:
            raise JobError(value)
        return value


def end_process(process: Any) -> None:
    """End a process of `multiprocessing`: SIGTERM, and SIGKILL when it does not listen."""
    if process.pid is None:
        return
    process.terminate()
    process.join(_END_TIMEOUT_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _run(prepare: Callable[[Any], Callable[[], Any]], order: Any, pipe: Connection) -> None:
    # A terminal's Ctrl-C is the business of the process that started this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Some work never looks at anything but its servers, and would keep a core busy for nobody.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        begin = prepare(order)
        pipe.send((True, None))
        pipe.recv()
        pipe.send((True, begin()))
    except EOFError:
        return
    except Exception:  # noqa: BLE001 - whatever it is, the other side must hear of it
        pipe.send((False, traceback.format_exc()))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
