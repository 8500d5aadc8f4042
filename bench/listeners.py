"""Listeners of a live board in a process of their own: they note when each got an update."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import uvloop

_UPDATE = b"event: update"
_OPENING_AT_ONCE = 50


@dataclass(frozen=True)
class ListenOrder:
    """Which board to listen to, how many connections, and for how long once all are open."""

    host: str
    port: int
    path: str
    listeners: int
    seconds: float


@dataclass(frozen=True)
class Heard:
    """How many listeners stayed to the end, and when (monotonic clock, which all processes share) each got updates."""

    listeners: int
    updates: list[list[float]]

    def updates_least(self, began_at: float, ended_at: float) -> int:
        """Return the fewest updates that one of them got between two moments."""
        return min(sum(began_at <= moment <= ended_at for moment in moments) for moments in self.updates)

    def silence_most_seconds(self, began_at: float, ended_at: float) -> float:
        """Return the longest that one of them went without an update between two moments."""
        heard = ([moment for moment in moments if began_at < moment < ended_at] for moments in self.updates)
        return max(_longest([began_at, *moments, ended_at]) for moments in heard)


class _Listener(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self.updates: list[float] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.is_open = True
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        self.updates += [time.monotonic()] * data.count(_UPDATE)
        if self.updates and not self.opened.done():
            self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if not self.opened.done():
            self.opened.set_exception(exc or ConnectionResetError("The server closed a listener's connection."))


def prepare_listeners(order: ListenOrder) -> Callable[[], Heard]:
    """Open the connections; return the function that listens and says what was heard. For `jobs.Job`."""
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    listeners = runner.run(_open(order))

    def listen() -> Heard:
        with runner:
            runner.run(asyncio.sleep(order.seconds))
            return Heard(sum(listener.is_open for listener in listeners), [each.updates for each in listeners])

    return listen


async def _open(order: ListenOrder) -> list[_Listener]:
    loop = asyncio.get_running_loop()
    request = f"GET {order.path} HTTP/1.1\r\nHost: {order.host}\r\nAccept: text/event-stream\r\n\r\n".encode()
    listeners: list[_Listener] = []
    for start in range(0, order.listeners, _OPENING_AT_ONCE):
        count = min(_OPENING_AT_ONCE, order.listeners - start)
        opened = await asyncio.gather(
            *(loop.create_connection(lambda: _Listener(request), order.host, order.port) for _ in range(count))
        )
        listeners += [listener for _, listener in opened]
    await asyncio.gather(*(listener.opened for listener in listeners))
    return listeners


def _longest(moments: list[float]) -> float:
    return max(after - before for before, after in pairwise(moments))
