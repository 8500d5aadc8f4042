"""Sends requests when they are due, over connections that are kept open, and measures from when they were due.

It is no part of an event loop: whoever has it sends what is due and takes the answers, in turns of a millisecond or
two. To wake up for each answer, with a protocol and its transport, costs as much as to make and judge a request.
"""

import errno
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from grandstand.lab.http_connection import AnswerError, AnswerReader, body_of, status_of

Answered = Callable[[Any, int, bytes, float], None]
"""Told what was asked, the status (0: no answer), the body, and the seconds since it was due."""

_PIECE_BYTES = 65_536
_READABLE = select.EPOLLIN
_WRITABLE = select.EPOLLIN | select.EPOLLOUT


class _Connection:
    """One keep-alive connection with one request under way at most. `rest` is what the kernel did not take of it."""

    __slots__ = ("asked", "is_open", "reader", "rest", "socket")

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self.reader = AnswerReader()
        self.asked: tuple[Any, bytes, float, Answered] | None = None
        self.rest = b""
        self.is_open = False


class Sender:
    """A pool of connections that opens as many as the server's slowness asks for, up to `connections_max`.

    What finds no free connection waits its turn, and that time counts. Use as a context manager.
    """

    def __init__(self, host: str, port: int, connections_max: int) -> None:
        self._addresses = deque(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        self._connections_max = connections_max
        self._connections: dict[int, _Connection] = {}
        self._idle: list[_Connection] = []
        self._waiting: deque[tuple[Any, bytes, float, Answered]] = deque()
        self._poll = select.epoll()
        self._refused_count = 0
        self.under_way = 0
        self.requests = 0

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._poll.close()

    @property
    def waited_seconds(self) -> float:
        """How long the first of those waits that have not been sent."""
        return time.monotonic() - self._waiting[0][2] if self._waiting else 0.0

    def send(self, what: Any, request: bytes, due_at: float, answered: Answered) -> None:
        """Send a request now, or as soon as a connection is free. `due_at` is of the monotonic clock."""
        self.under_way += 1
        asked = what, request, due_at, answered
        if self._idle:
            self._ask(self._idle.pop(), asked)
            return
        self._waiting.append(asked)
        if len(self._connections) < self._connections_max:
            self._connect()

    def take_answers(self) -> None:
        """Take all answers that are there, and wait for none."""
        ready = self._poll.poll(0)
        # What is found ready had come by now, however long it takes until its turn.
        at = time.monotonic()
        for descriptor, events in ready:
            connection = self._connections.get(descriptor)
            if connection is None:
                continue
            if connection.rest or not connection.is_open:
                self._go_on(connection)
            if events != select.EPOLLOUT and connection.is_open:
                self._receive(connection, at)

    def give_up_waiting(self) -> int:
        """Forget what was not sent yet; return how much that was. Nobody is told: it never reached the server."""
        count = len(self._waiting)
        self._waiting.clear()
        self.under_way -= count
        return count

    def end(self) -> int:
        """Wait no longer; return how much was sent and has no answer, nor will have. Those who asked are told."""
        self.give_up_waiting()
        unanswered = self.under_way
        for connection in list(self._connections.values()):
            self._lose(connection)
        return unanswered

    def _ask(self, connection: _Connection, asked: tuple[Any, bytes, float, Answered]) -> None:
        connection.asked = asked
        self.requests += 1
        request = asked[1]
        try:
            sent = connection.socket.send(request)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._lose(connection)
            return
        if sent != len(request):
            connection.rest = request[sent:]
            self._poll.modify(connection.socket, _WRITABLE)

    def _receive(self, connection: _Connection, at: float) -> None:
        try:
            data = connection.socket.recv(_PIECE_BYTES)
            parts = connection.reader.add(data) if data else None
        except BlockingIOError:
            return
        except (OSError, AnswerError):
            data, parts = b"", None
        # What answers nobody would be taken for the next answer.
        if not data or connection.asked is None:
            self._lose(connection)
        elif parts is not None:
            what, _, due_at, answered = connection.asked
            connection.asked = None
            self.under_way -= 1
            answered(what, status_of(parts), body_of(parts), (at if len(parts) == 1 else time.monotonic()) - due_at)
            self._is_free(connection)

    def _is_free(self, connection: _Connection) -> None:
        if self._waiting:
            self._ask(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _connect(self) -> None:
        family, kind, protocol, _, address = self._addresses[0]
        opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._connections[opened.fileno()] = _Connection(opened)
        self._poll.register(opened, _WRITABLE)
        if opened.connect_ex(address) not in (0, errno.EINPROGRESS):
            self._refused(connection)

    def _go_on(self, connection: _Connection) -> None:
        """Go on with what has waited until the kernel takes more: the connection itself, or the rest of a request."""
        if not connection.is_open:
            if connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._refused(connection)
                return
            connection.is_open = True
            self._poll.modify(connection.socket, _READABLE)
            self._is_free(connection)
            return
        try:
            connection.rest = connection.rest[connection.socket.send(connection.rest) :]
        except BlockingIOError:
            return
        except OSError:
            self._lose(connection)
            return
        if not connection.rest:
            self._poll.modify(connection.socket, _READABLE)

    def _refused(self, connection: _Connection) -> None:
        self._forget(connection)
        # A name may have several addresses, of which the server has one.
        self._addresses.rotate(-1)
        self._refused_count += 1
        if self._refused_count % len(self._addresses):
            self._connect()
        elif self._waiting:
            what, _, due_at, answered = self._waiting.popleft()
            self.under_way -= 1
            answered(what, 0, b"", time.monotonic() - due_at)

    def _lose(self, connection: _Connection) -> None:
        self._forget(connection)
        asked, connection.asked = connection.asked, None
        if asked is not None:
            what, _, due_at, answered = asked
            self.under_way -= 1
            answered(what, 0, b"", time.monotonic() - due_at)

    def _forget(self, connection: _Connection) -> None:
        self._connections.pop(connection.socket.fileno(), None)
        connection.is_open = False
        if connection in self._idle:
            self._idle.remove(connection)
        connection.socket.close()
