"""Sends requests when they are due, over connections that are kept open, and measures from when they were due."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from grandstand.lab.http_connection import HttpConnection, body_of

Answered = Callable[[Any, int, bytes, float], None]
"""Told what was asked, the status (0: no answer), the body, and the seconds since it was due."""


class Sender:
    """A pool of connections that opens as many as the server's slowness asks for, up to `connections_max`.

    What finds no free connection waits its turn, and that time counts. Use as an async context manager.
    """

    def __init__(self, host: str, port: int, connections_max: int) -> None:
        self._host = host
        self._port = port
        self._connections_max = connections_max
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._waiting: deque[tuple[Any, bytes, float, Answered]] = deque()
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._drained = asyncio.Event()
        self.under_way = 0
        self.requests = 0

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closed = True
        for task in self._opening:
            task.cancel()
        for connection in [*self._idle, *self._busy]:
            connection.transport.abort()

    @property
    def waited_seconds(self) -> float:
        """How long the first of those waits that have not been sent."""
        return time.monotonic() - self._waiting[0][2] if self._waiting else 0.0

    def send(self, what: Any, request: bytes, due_at: float, answered: Answered) -> None:
        """Send a request now, or as soon as a connection is free. `due_at` is of the monotonic clock."""
        self.under_way += 1
        if self._idle:
            self._idle.pop().ask((what, request, due_at, answered))
            return
        self._waiting.append((what, request, due_at, answered))
        if self._open < self._connections_max:
            self._open += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def give_up_waiting(self) -> int:
        """Forget what was not sent yet; return how much that was. Nobody is told: it never reached the server."""
        count = len(self._waiting)
        self._waiting.clear()
        self.under_way -= count
        if not self.under_way:
            self._drained.set()
        return count

    async def drain(self, timeout_seconds: float) -> int:
        """Wait until everything has been answered; return how much was not, of which nothing will come any more."""
        self._drained.clear()
        if self.under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), timeout_seconds)
        unanswered = self.under_way
        self.give_up_waiting()
        for connection in list(self._busy):
            connection.failed(TimeoutError("no answer in time"))
        return unanswered

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(lambda: _Connection(self), self._host, self._port)
        except OSError:
            self._open -= 1
            if self._waiting:
                self.finish(self._waiting.popleft(), 0, b"")
            return
        self.is_free(connection)

    def is_free(self, connection: "_Connection") -> None:
        """Give a connection what waits, or keep it."""
        if self._waiting:
            connection.ask(self._waiting.popleft())
        elif self._is_closed:
            connection.transport.abort()
        else:
            self._idle.append(connection)

    def is_busy(self, connection: "_Connection") -> None:
        """Hear that a connection has something under way."""
        self.requests += 1
        self._busy.add(connection)

    def is_done(self, connection: "_Connection") -> None:
        """Hear that a connection has nothing under way any more."""
        self._busy.discard(connection)

    def is_gone(self, connection: "_Connection") -> None:
        """Hear that a connection is closed."""
        self._open -= 1
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def finish(self, asked: tuple[Any, bytes, float, Answered], status: int, body: bytes) -> None:
        """Tell whoever asked."""
        what, _, due_at, answered = asked
        self.under_way -= 1
        if not self.under_way:
            self._drained.set()
        answered(what, status, body, time.monotonic() - due_at)


class _Connection(HttpConnection):
    def __init__(self, sender: Sender) -> None:
        super().__init__()
        self._sender = sender
        self._asked: tuple[Any, bytes, float, Answered] | None = None
        self._is_gone = False

    def ask(self, asked: tuple[Any, bytes, float, Answered]) -> None:
        self._asked = asked
        self._sender.is_busy(self)
        self.transport.write(asked[1])

    def answered(self, status: int, parts: list[bytes]) -> None:
        asked, self._asked = self._asked, None
        self._sender.is_done(self)
        if asked is not None:
            self._sender.finish(asked, status, body_of(parts))
        self._sender.is_free(self)

    def failed(self, error: Exception) -> None:  # noqa: ARG002 - without an answer, why does not matter
        if self._is_gone:
            return
        self._is_gone = True
        self._sender.is_gone(self)
        asked, self._asked = self._asked, None
        if asked is not None:
            self._sender.finish(asked, 0, b"")
        self.transport.abort()
