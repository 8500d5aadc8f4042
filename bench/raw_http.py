"""Ceilings of HTTP rows: handlers that do nothing, on the product's server with the product's settings.

`RawServer` runs one of three in a process of its own:

- `accepting()`: a raw ASGI application that reads the body and answers 202.
- `answering(body, headers)`: a raw ASGI application that answers these bytes.
- `responding()`: no HTTP server at all, only a fixed answer to every piece of data: the ceiling of the generator.
"""

import asyncio
import multiprocessing
import signal
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import uvicorn
import uvloop

from bench.jobs import end_process
from grandstand.api.server import BACKLOG, KEEP_ALIVE_SECONDS
from grandstand.lab.http_connection import HttpClient, request_of

Headers = tuple[tuple[bytes, bytes], ...]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ACCEPTED = b'{"accepted":1,"rejected":[]}'
_context = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class RawAnswer:
    """What the server does with every request; see the module."""

    kind: Literal["accepting", "answering", "responding"]
    body: bytes = _ACCEPTED
    headers: Headers = ()


def accepting() -> RawAnswer:
    """Read the body, answer 202 and what the product would say of one event."""
    headers = ((b"content-type", b"application/json"), (b"content-length", str(len(_ACCEPTED)).encode()))
    return RawAnswer("accepting", headers=headers)


def answering(body: bytes, headers: Headers) -> RawAnswer:
    """Answer 200 with these bytes."""
    return RawAnswer("answering", body, headers)


def responding() -> RawAnswer:
    """Answer every piece of data alike, without looking at it."""
    return RawAnswer("responding")


class RawServer:
    """A ceiling's server on a free loopback port. Use it as an async context manager."""

    host = "127.0.0.1"

    def __init__(self, answer: RawAnswer) -> None:
        self._socket = socket.create_server((self.host, 0), backlog=BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._process = _context.Process(target=_serve, args=(answer, self._socket), daemon=True)

    async def __aenter__(self) -> "RawServer":
        self._process.start()
        self._socket.close()
        client = await HttpClient.open(self.host, self.port)
        try:
            await client.ask(request_of("GET", "/"))
        except BaseException:
            end_process(self._process)
            raise
        finally:
            client.close()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(end_process, self._process)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid or 0


def _serve(answer: RawAnswer, listener: socket.socket) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if answer.kind == "responding":
        uvloop.run(_respond(answer, listener))
        return
    application = _accepting_application(answer) if answer.kind == "accepting" else _answering_application(answer)
    # As in grandstand/api/server.py.
    config = uvicorn.Config(
        application,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    uvloop.run(uvicorn.Server(config).serve(sockets=[listener]))


def _accepting_application(answer: RawAnswer) -> Any:
    start = {"type": "http.response.start", "status": 202, "headers": answer.headers}
    end = {"type": "http.response.body", "body": answer.body}

    async def application(_scope: Message, receive: Receive, send: Send) -> None:
        parts = []
        more = True
        while more:
            message = await receive()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
        b"".join(parts)
        await send(start)
        await send(end)

    return application


def _answering_application(answer: RawAnswer) -> Any:
    start = {"type": "http.response.start", "status": 200, "headers": answer.headers}
    end = {"type": "http.response.body", "body": answer.body}

    async def application(_scope: Message, _receive: Receive, send: Send) -> None:
        await send(start)
        await send(end)

    return application


class _Responder(asyncio.Protocol):
    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - nothing is looked at
        self._transport.write(self._answer)  # type: ignore[attr-defined]


async def _respond(answer: RawAnswer, listener: socket.socket) -> None:
    data = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(answer.body), answer.body)
    server = await asyncio.get_running_loop().create_server(lambda: _Responder(data), sock=listener)
    await server.serve_forever()
