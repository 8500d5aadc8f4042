"""Sends requests when they are due, over connections that are kept open, and measures from when they were due."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from grandstand.lab.http_connection import HttpConnection, body_in

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
        self._waiting: deque[tuple[Any, bytes, float, Answered]] = deque()
        self._open = 0
        self._opening: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._drained = asyncio.Event()
        self.under_way = 0
        self.waiting_most = 0

    async def __aenter__(self) -> "Sender":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_closed = True
        for task in self._opening:
            task.cancel()
        for connection in self._idle:
            connection.transport.abort()

    def send(self, what: Any, request: bytes, due_at: float, answered: Answered) -> None:
        """Send a request now, or as soon as a connection is free. `due_at` is of the monotonic clock."""
        self.under_way += 1
        if self._idle:
            self._idle.pop().ask(what, request, due_at, answered)
            return
        self._waiting.append((what, request, due_at, answered))
        self.waiting_most = max(self.waiting_most, len(self._waiting))
        if self._open < self._connections_max:
            self._open += 1
            task = asyncio.get_running_loop().create_task(self._connect())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def drain(self, timeout_seconds: float) -> bool:
        """Wait until everything has been answered; False when it took too long."""
        if not self.under_way:
            return True
        self._drained.clear()
        try:
            await asyncio.wait_for(self._drained.wait(), timeout_seconds)
        except TimeoutError:
            return False
        return True

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
            connection.ask(*self._waiting.popleft())
        elif self._is_closed:
            connection.transport.abort()
        else:
            self._idle.append(connection)

    def is_gone(self, connection: "_Connection") -> None:
        """Hear that a connection is closed."""
        self._open -= 1
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

    def ask(self, what: Any, request: bytes, due_at: float, answered: Answered) -> None:
        self._asked = (what, request, due_at, answered)
        self.transport.write(request)

    def answered(self, status: int, parts: list[bytes]) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            self._sender.finish(asked, status, body_in(b"".join(parts)))
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
