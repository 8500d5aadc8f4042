"""One connection to a Valkey that many commands share: each is sent at once, and takes the next reply.

The library lends a connection to one command at a time. What it does around that (the pool and its lock, two time-outs,
a stream with its buffers) costs several times what the command does, and short scripts are most of what is asked.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from copy import copy
from typing import Any, Protocol

import libvalkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import InvalidResponse, ReadOnlyError
from valkey.exceptions import TimeoutError as ValkeyTimeoutError

_NOTHING = object()
_LOST = (ValkeyConnectionError, ReadOnlyError)
"""What a connection is given up for; the server says so itself, too: that it is loading, or that it is a replica."""

_CLOSE_SECONDS = 1.0
"""How long the end of a connection that is closed may take, and that of an attempt to make one."""

_LOOK_SHARE = 0.02
"""How late a time-out may be, as a part of it, where others are waiting behind it."""


class Taken(Protocol):
    """A connection of the library's that is ready for commands, and that its pool does not know of."""

    def hand_over(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, Callable[[str], Exception]]:
        """Let `protocol` have what arrives; return what to write to, and what makes an error of an error's text."""

    def drop(self) -> None:
        """Close it, and wait for nothing."""


class _Line(asyncio.Protocol):
    """A connection, from when it is ready until it is lost."""

    def __init__(self, connection: Taken, timeout_seconds: float) -> None:
        self._connection = connection
        self._timeout_seconds = timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._is_retired = False
        self.is_open, self.is_closed = True, False
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self._transport, to_error = connection.hand_over(self)
        self._reader = libvalkey.Reader(
            protocolError=InvalidResponse, replyError=to_error, notEnoughData=_NOTHING, convertSetsToLists=True
        )

    def send(self, packed: bytes) -> "asyncio.Future[Any]":
        """Send a command; the future has its reply, raised if it is an error."""
        reply: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((reply, self._loop.time() + self._timeout_seconds))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_seconds, self._look_at_time)
        try:
            self._transport.write(packed)
        except (OSError, RuntimeError) as error:
            # uvloop raises for a connection that was closed a moment ago.
            problem = str(error)
            self._end(lambda: ValkeyConnectionError(f"The connection is closed: {problem}"))
        return reply

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are complete."""
        self._reader.feed(data)
        gets, waiting = self._reader.gets, self._waiting
        try:
            while (reply := gets()) is not _NOTHING:
                # More replies than commands are no replies: the other end is no Valkey.
                future = waiting.popleft()[0]
                if future.done():
                    continue  # who asked was cancelled
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except (InvalidResponse, IndexError) as error:
            problem = str(error)
            self._end(lambda: ValkeyConnectionError(f"The server sent what is no reply: {problem}"))
        if self._is_retired and not waiting:
            self._leave()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits for replies."""
        self._end(lambda: ValkeyConnectionError(f"The server closed the connection: {exc or 'its end was reached'}"))
        if not self.lost.done():
            self.lost.set_result(None)

    def retire(self) -> None:
        """Send nothing more over it, and close it once everybody who waits has a reply."""
        if not self.is_open:
            return
        self.is_open, self._is_retired = False, True
        if not self._waiting:
            self._leave()

    def close(self) -> None:
        """Close it; whoever waits hears that it is closed, and is not to ask again."""
        self.is_closed = True
        self._leave()

    def _leave(self) -> None:
        self._end(lambda: ValkeyConnectionError("The connection was closed."))

    def _look_at_time(self) -> None:
        """Fail who has waited for too long. Those who came later wait on: a stall costs as few of them as it may."""
        self._timer = None
        now = self._loop.time()
        for reply, until in self._waiting:
            if until > now:
                # Not for each on its own: they are looked through from the first on.
                again_seconds = max(until - now, self._timeout_seconds * _LOOK_SHARE)
                self._timer = self._loop.call_later(again_seconds, self._look_at_time)
                return
            # The connection may be dead.
            self.is_open, self._is_retired = False, True
            if not reply.done():
                reply.set_exception(ValkeyTimeoutError(f"No reply within {self._timeout_seconds:g} seconds."))
        if self._is_retired:
            self._leave()

    def _end(self, make_error: Callable[[], Exception]) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                # An own one each: the same, raised in many tasks, would mix up their tracebacks.
                future.set_exception(make_error())
        self._transport.abort()
        self._connection.drop()


class ValkeyLine:
    """Runs commands over one connection, which is made when it is needed and made anew when it was lost.

    `connect` makes one that is ready. Only for commands that the server answers at once, never for such that wait.
    """

    def __init__(self, connect: Callable[[], Awaitable[Taken]], timeout_seconds: float) -> None:
        self._connect = connect
        self._timeout_seconds = timeout_seconds
        self._line: _Line | None = None
        self._lines: set[_Line] = set()
        """With those that are left, and on which some wait for their replies yet."""
        self._opening: asyncio.Task[_Line] | None = None

    def run(self, *command: str | bytes | int) -> Coroutine[Any, Any, Any]:
        """Run a command, sent now if there is a connection; what is to be awaited returns its reply.

        When the connection is lost under it, or leads to a server that is no primary any more, it is sent once more
        over a new one, as the library does: the caller does not notice that an idle connection was closed. One that is
        not answered in time is not repeated.

        Raises:
            valkey.exceptions.ValkeyError: out of reach, or the server's error.
        """
        packed = libvalkey.pack_command(command)
        line = self._line
        if line is None or not line.is_open:
            return self._finish(packed, None, None)
        return self._finish(packed, line, line.send(packed))

    async def _finish(self, packed: bytes, line: _Line | None, reply: "asyncio.Future[Any] | None") -> Any:
        if line is None or reply is None:
            line = await self._open()
            reply = line.send(packed)
        try:
            return await reply
        except _LOST:
            if line.is_closed:
                raise
            line.retire()
            line = await self._open()
        try:
            return await line.send(packed)
        except _LOST:
            line.retire()
            raise

    def retire(self) -> None:
        """Have the next command make another connection; the one there is goes once all who wait have a reply."""
        if self._line is not None:
            self._line.retire()

    async def close(self) -> None:
        """Close the connection; the next command makes another one."""
        if (opening := self._opening) is not None:
            # Cancelled between two steps, the library would leave a connection open.
            await asyncio.wait((opening,), timeout=_CLOSE_SECONDS)
            opening.cancel()
            await asyncio.wait((opening,))
        lines, self._line = [*self._lines], None
        for line in lines:
            line.close()
        if lines:
            await asyncio.wait([line.lost for line in lines], timeout=_CLOSE_SECONDS)

    async def _open(self) -> _Line:
        """Return a connection that is open; all who need one at a time share the attempt."""
        if self._line is not None and self._line.is_open:
            return self._line  # somebody else has made it
        if self._opening is None:
            self._opening = asyncio.create_task(self._make(), name="connect to Valkey")
            # Heard of also when all who asked are gone.
            self._opening.add_done_callback(lambda opening: opening.cancelled() or opening.exception())
        opening = self._opening
        # Not awaited itself: one caller who is cancelled would cancel it for the others.
        await asyncio.wait((opening,))
        if opening.cancelled():
            raise ValkeyConnectionError("The client was closed.")
        error = opening.exception()
        if error is not None:
            raise copy(error) from error
        return opening.result()

    async def _make(self) -> _Line:
        try:
            connection = await self._connect()
            try:
                line = _Line(connection, self._timeout_seconds)
            except BaseException:
                connection.drop()
                raise
        finally:
            self._opening = None
        self._lines.add(line)
        line.lost.add_done_callback(lambda _: self._lines.discard(line))
        self._line = line
        return line
