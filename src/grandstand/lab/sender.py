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

from grandstand.lab.http_connection import AnswerError, AnswerReader, body_of, is_last, status_of

Answered = Callable[[Any, int, bytes, float], object]
"""Told what was asked, the status (0: no answer), the body, and the seconds since it was due."""

_PIECE_BYTES = 65_536
# Of the same value for `select.epoll`, which not every system has.
_READABLE = select.POLLIN
_WRITABLE = select.POLLIN | select.POLLOUT


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
        self._poll = select.epoll() if hasattr(select, "epoll") else select.poll()
        self._opening = 0
        self._refused_count = 0
        self.under_way = 0
        self.requests = 0

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        for connection in list(self._connections.values()):
            self._forget(connection)
        if hasattr(self._poll, "close"):
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
        complete = []
        for descriptor, events in self._poll.poll(0):
            connection = self._connections.get(descriptor)
            if connection is None:
                continue
            if connection.rest or not connection.is_open:
                self._go_on(connection)
            if events != select.POLLOUT and connection.is_open and (parts := self._receive(connection)) is not None:
                complete.append((connection, parts))
        # They had come by now, however long it takes until their turn.
        at = time.monotonic()
        for connection, parts in complete:
            self._answered(connection, parts, at)
        if len(self._waiting) > self._opening and len(self._connections) < self._connections_max:
            # A connection was lost, or could not be made, that somebody waited for.
            self._connect()

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

    def _receive(self, connection: _Connection) -> list[bytes] | None:
        """Take what is there; return the answer when that completes it."""
        try:
            data = connection.socket.recv(_PIECE_BYTES)
            parts = connection.reader.add(data) if data else None
        except BlockingIOError:
            return None
        except (OSError, AnswerError):
            data, parts = b"", None
        # What answers nobody would be taken for the next answer.
        if not data or connection.asked is None:
            self._lose(connection)
            return None
        return parts

    def _answered(self, connection: _Connection, parts: list[bytes], at: float) -> None:
        asked, connection.asked = connection.asked, None
        if asked is None:
            return
        what, _, due_at, answered = asked
        self.under_way -= 1
        answered(what, status_of(parts), body_of(parts), at - due_at)
        if connection.rest or is_last(parts):
            # Nothing can follow a request that was answered before it was sent, nor what the server says is the last.
            self._forget(connection)
        else:
            self._is_free(connection)

    def _is_free(self, connection: _Connection) -> None:
        if self._waiting:
            self._ask(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _connect(self) -> None:
        family, kind, protocol, _, address = self._addresses[0]
        try:
            opened = socket.socket(family, kind, protocol)
        except OSError:
            # So many files may be open, and no more.
            self._try_another()
            return
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._connections[opened.fileno()] = _Connection(opened)
        self._opening += 1
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
            self._opening -= 1
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
        self._opening -= 1
        self._try_another()

    def _try_another(self) -> None:
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
        del self._connections[connection.socket.fileno()]
        self._poll.unregister(connection.socket)
        connection.is_open = False
        if connection in self._idle:
            self._idle.remove(connection)
        connection.socket.close()
