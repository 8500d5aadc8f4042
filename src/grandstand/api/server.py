"""Runs the HTTP layer on uvicorn until it is told to stop."""

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from functools import partial

import uvicorn
from litestar.types import ASGIApp

from grandstand.api.at_once import at_once_of
from grandstand.api.post_at_once import post_at_once_of
from grandstand.api.posting_protocol import PostingHttpProtocol
from grandstand.api.read_at_once import read_at_once_of
from grandstand.settings import Settings

KEEP_ALIVE_SECONDS = 30
BACKLOG = 2048
FILES_MAX = 65_536
"""Open files that a process asks for, where the system's hard limit lets it: each listener of a live board is one."""


FILES_KEPT_BACK = 256
"""Open files that are not for clients: connections to the engines, logs, and the listener itself."""

_HEADERS = [("x-content-type-options", "nosniff")]
_HEADERS_OF_TLS = [*_HEADERS, ("strict-transport-security", "max-age=31536000")]


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: whoever started the process owns them."""
        yield


async def serve_http(
    app: ASGIApp, settings: Settings, listen_socket: socket.socket | None, stop: asyncio.Event
) -> None:
    """Serve requests until `stop` is set and the requests under way are answered.

    `listen_socket` is bound already; without one, the address is that of the settings. Requests that take longer than
    `shutdown_timeout_seconds` from the stop on are cut off. Runs in the caller's event loop, which should be uvloop's.
    """
    has_tls = settings.tls_cert_file is not None
    connections_max = max(1, min(settings.connections_max, _raise_file_limit() - FILES_KEPT_BACK))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=partial(  # type: ignore[arg-type]
            PostingHttpProtocol,
            connections_max=connections_max,
            at_once=at_once_of(app),
            post_at_once=post_at_once_of(app),
            read_at_once=read_at_once_of(app),
        ),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=_HEADERS_OF_TLS if has_tls else _HEADERS,
        ssl_certfile=settings.tls_cert_file,
        ssl_keyfile=settings.tls_key_file,
        # Whoever connects may write what it likes into X-Forwarded-For; `api/client_address.py` says whom to believe.
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_timeout_seconds)),
    )
    server = _Server(config)
    serving = asyncio.create_task(
        server.serve(sockets=None if listen_socket is None else [listen_socket]), name="serve http"
    )
    stopping = asyncio.create_task(stop.wait(), name="wait for the stop")
    try:
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()


def _raise_file_limit() -> int:
    """Let this process have more open files than shells allow by default (often 1,024); return how many it may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(FILES_MAX, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems refuse what their own hard limit allows: then it stays as it is.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return FILES_MAX if soft == resource.RLIM_INFINITY else soft
