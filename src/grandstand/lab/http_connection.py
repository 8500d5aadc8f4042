"""A lean HTTP/1.1 client connection: requests are ready bytes, and of an answer only status and length are read."""

import asyncio
import re
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_CLOSE = b"onnection: close\r\n"  # servers write it small or large
_WITHOUT_BODY = (b"204", b"304")


class AnswerError(Exception):
    """The server's answer is none that this client reads: it needs a status line and `Content-Length`."""


class AnswerReader:
    """Puts the answers of one connection together, which come one after the other."""

    __slots__ = ("_missing_bytes", "_parts")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._missing_bytes = 0

    def add(self, data: bytes) -> list[bytes] | None:
        """Take a piece; return the answer in parts (joined they are its head and body) when it is complete.

        Raises:
            AnswerError: it is none.
        """
        if self._missing_bytes:
            self._parts.append(data)
            self._missing_bytes -= len(data)
        else:
            if self._parts:
                data = b"".join([*self._parts, data])
            self._parts = [data]
            head_end = data.find(_HEAD_END)
            if head_end < 0:
                return None
            if not data.startswith(b"HTTP/1.") or not data[9:12].isdigit():
                raise AnswerError(f"No status line: {data[:head_end]!r}")
            length = _LENGTH.search(data, 0, head_end)
            if length is None and data[9:12] not in _WITHOUT_BODY:
                raise AnswerError(f"An answer without Content-Length: {data[:head_end]!r}")
            body_bytes = int(length[1]) if length is not None else 0
            self._missing_bytes = head_end + len(_HEAD_END) + body_bytes - len(data)
        if self._missing_bytes > 0:
            return None
        if self._missing_bytes < 0:
            raise AnswerError("More came than an answer: only one was asked for.")
        parts, self._parts = self._parts, []
        return parts


class HttpConnection(asyncio.Protocol):
    """One keep-alive connection with one request under way at most. Subclasses say what an answer leads to."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._reader = AnswerReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect an answer until it is complete."""
        try:
            parts = self._reader.add(data)
        except AnswerError as error:
            self.failed(error)
            return
        if parts is not None:
            self.answered(status_of(parts), parts)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hear that the connection is closed."""
        self.failed(exc or ConnectionResetError("The server closed the connection."))

    def answered(self, status: int, parts: list[bytes]) -> None:
        """Take an answer that is complete; `parts` joined are its head and body."""
        raise NotImplementedError

    def failed(self, error: Exception) -> None:
        """Hear that no answer will come any more."""
        raise NotImplementedError


class HttpClient(HttpConnection):
    """One connection to ask one thing after another."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self._error: Exception | None = None

    @classmethod
    async def open(cls, host: str, port: int) -> "HttpClient":
        """Connect."""
        _, client = await asyncio.get_running_loop().create_connection(cls, host, port)
        return client

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return the status and the whole answer, head and body.

        Raises:
            OSError: the connection is closed, also if that was before.
            AnswerError: what came is no answer.
        """
        if self._error is not None:
            raise self._error
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Close the connection."""
        self.transport.abort()

    def answered(self, status: int, parts: list[bytes]) -> None:
        """Hand the answer to whoever asked."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result((status, b"".join(parts)))

    def failed(self, error: Exception) -> None:
        """Tell whoever asked, and whoever will."""
        self._error = self._error or error
        self.transport.abort()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)


def authority(host: str, port: int) -> str:
    """Return what the `Host` header says of a server: what stands in front of it may choose by that."""
    name = f"[{host}]" if ":" in host else host
    return name if port == 80 else f"{name}:{port}"


def request_of(
    method: str, path: str, *, key: str | None = None, body: bytes | None = None, host: str = "localhost"
) -> bytes:
    """Return the bytes of a request as a usual client would send it."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "User-Agent: grandstand-lab", "Accept: */*"]
    if key is not None:
        lines.append(f"Authorization: Bearer {key}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def status_of(parts: list[bytes]) -> int:
    """Return the status of an answer that came in parts."""
    return int(parts[0][9:12])


def is_last(parts: list[bytes]) -> bool:
    """Return whether the server says that it closes the connection after an answer that came in parts."""
    head = parts[0]
    return head.find(_CLOSE, 0, head.find(_HEAD_END) + 2) >= 0


def body_of(parts: list[bytes]) -> bytes:
    """Return the body of an answer that came in parts."""
    return body_in(parts[0] if len(parts) == 1 else b"".join(parts))


def body_in(answer: bytes) -> bytes:
    """Return the body of a whole answer."""
    return answer[answer.index(_HEAD_END) + len(_HEAD_END) :]


def headers_in(answer: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers of a whole answer, names in lower case."""
    lines = answer[: answer.index(_HEAD_END)].split(b"\r\n")[1:]
    pairs = [line.partition(b":") for line in lines]
    return [(name.strip().lower(), value.strip()) for name, _, value in pairs]
