"""The HTTP server of a process, from before its engines are there to the stop."""

import asyncio
import socket

from grandstand.api.server import serve_http
from grandstand.api.starting import StartingApp
from grandstand.api.watched import WatchedApp
from grandstand.settings import Settings


class Listening:
    """Serves one app once; `stop` ends it when the requests under way are answered."""

    def __init__(self, settings: Settings, listen: socket.socket | None, stop: asyncio.Event) -> None:
        self.app = StartingApp()
        self._settings = settings
        self._listen = listen
        self._stop = stop
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> "asyncio.Task[None]":
        """Begin to serve, if that has not begun; return the task that ends with the last answer."""
        if self._serving is None:
            serving = serve_http(self.app, self._settings, self._listen, self._stop)
            self._serving = asyncio.create_task(serving, name="serve http")
        return self._serving


async def serve_watched(settings: Settings, listen: socket.socket, stop: asyncio.Event) -> None:
    """Answer probes and Prometheus for a process without HTTP roles, until the stop."""
    await serve_http(WatchedApp(settings), settings, listen, stop)
