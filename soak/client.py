"""The client: asks one thing over HTTP and says what came back, or that nothing did.

Lean, because it shares the machine with what it loads: a request costs a fifth of what a general client takes.
"""

import asyncio
import json
import time
from collections import deque
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

TIMEOUT_SECONDS = 15.0
_IDLE_SECONDS = 5.0
"""Far below the server's, so that it is never the server who closes a connection that is about to be used."""

_BODY_MAX_BYTES = 1 << 24
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class Reply(NamedTuple):
    """What came back. A `status` of None: no reply (`error` says how); times are of the monotonic clock."""

    status: int | None
    body: Any
    sent_at: float
    ended_at: float
    error: str = ""

    @property
    def code(self) -> str:
        """The stable code of a problem, or ''."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class _Connection(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float

    @property
    def is_usable(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()

    def abort(self) -> None:
        """Close it, whatever is under way."""
        self.writer.transport.abort()


class Client:
    """A game server's client with the server key. Use it as an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), int(parts.port or 80)
        self._head = f"Host: {parts.netloc}\r\nAuthorization: Bearer {key}\r\nAccept: application/json\r\n"
        self._idle: deque[_Connection] = deque()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._idle:
            self._idle.pop().abort()

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Reply:
        """Send one request and wait for its reply; never raises for a reply that does not come."""
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                status, content = await self._exchange(self._encode(method, path, body, headers or {}, query))
            found = json.loads(content) if content else None
        except (OSError, TimeoutError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            return Reply(None, None, sent_at, time.monotonic(), f"{type(error).__name__}: {error}")
        return Reply(status, found, sent_at, time.monotonic())

    def _encode(self, method: str, path: str, body: Any, headers: dict[str, str], query: dict[str, Any]) -> bytes:
        target = f"{path}?{urlencode(query)}" if query else path
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if body is None:
            return f"{method} {target} HTTP/1.1\r\n{self._head}{more}Content-Length: 0\r\n\r\n".encode()
        content = json.dumps(body, separators=(",", ":")).encode()
        more += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        return f"{method} {target} HTTP/1.1\r\n{self._head}{more}\r\n".encode() + content

    async def _exchange(self, request: bytes) -> tuple[int, bytes]:
        connection = await self._take()
        try:
            connection.writer.write(request)
            status, content, is_last = await _read(connection.reader)
        except BaseException:
            connection.abort()
            raise
        if is_last:
            connection.abort()
        else:
            self._idle.append(connection._replace(idle_since=time.monotonic()))
        return status, content

    async def _take(self) -> _Connection:
        """Lend the connection that was used last; those that nobody has used for long are closed."""
        oldest = time.monotonic() - _IDLE_SECONDS
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.popleft().abort()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            connection.abort()
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_BODY_MAX_BYTES)
        return _Connection(reader, writer, 0.0)


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Return status, body and whether the server closes the connection. Every reply of the API has a length or no body.

    Raises:
        ValueError: it is no such reply.
    """
    head = (await reader.readuntil(_HEAD_END)).lower()
    status = int(head[9:12])
    start = head.find(_LENGTH)
    if start < 0:
        if status not in (204, 304):
            raise ValueError(f"A reply without length: {head!r}")
        return status, b"", b"\r\nconnection: close" in head
    length = int(head[start + len(_LENGTH) : head.index(b"\r\n", start)])
    return status, await reader.readexactly(length), b"\r\nconnection: close" in head
