"""A receiver of webhooks on this host: a small HTTP server that answers as the test says and remembers what came."""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = msgspec.json.decode(self.body)
        return message

    def verify(self, secret: str, tolerance_seconds: float = 300) -> None:
        """Check the signature as the specification of Standard Webhooks tells receivers to."""
        kind, _, encoded = secret.partition("_")
        assert kind == "whsec"
        timestamp = self.headers["webhook-timestamp"]
        assert abs(time.time() - int(timestamp)) < tolerance_seconds
        content = ".".join((self.webhook_id, timestamp, self.body.decode()))
        digest = hmac.new(base64.b64decode(encoded), content.encode(), hashlib.sha256).digest()
        assert "v1," + base64.b64encode(digest).decode() in self.headers["webhook-signature"].split(" ")


Answer = Callable[[Received], tuple[int, dict[str, str], bytes]]


@dataclass
class Receiver:
    """What came, and how to answer. A path in `holding` gets no answer until `release` is set."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    statuses: dict[str, int] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    bodies: dict[str, bytes] = field(default_factory=dict)
    holding: set[str] = field(default_factory=set)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    open: dict[str, int] = field(default_factory=dict)
    most_open: dict[str, int] = field(default_factory=dict)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [request for request in self.received if request.path == path]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await self.read(reader)
                self.received.append(request)
                path = request.path
                self.open[path] = self.open.get(path, 0) + 1
                self.most_open[path] = max(self.open[path], self.most_open.get(path, 0))
                try:
                    if path in self.holding:
                        await self.release.wait()
                finally:
                    self.open[path] -= 1
                body = self.bodies.get(path, b"ok")
                lines = [f"HTTP/1.1 {self.statuses.get(path, 200)} Whatever", f"Content-Length: {len(body)}"]
                lines += [f"{name}: {value}" for name, value in self.headers.get(path, {}).items()]
                writer.write("\r\n".join([*lines, "", ""]).encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def read(self, reader: asyncio.StreamReader) -> Received:
        """Read one request to its end."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        assert method == "POST"
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Received(path, headers, await reader.readexactly(int(headers["content-length"])))


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback address."""
    receiver = Receiver()
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await receiver.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
