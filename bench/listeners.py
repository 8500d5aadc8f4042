"""Listeners of a live board in a process of their own: they count updates and how long each had to wait for one."""

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
    """What the listeners heard: the fewest updates that one got, and the longest that one went without."""

    listeners: int
    updates_least: int
    silence_most_seconds: float


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
    """Return the function that listens and says what it heard. For `jobs.Job`."""
    return lambda: uvloop.run(_listen(order))


async def _listen(order: ListenOrder) -> Heard:
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
    began_at = time.monotonic()
    await asyncio.sleep(order.seconds)
    ended_at = time.monotonic()
    heard = [[moment for moment in listener.updates if moment >= began_at] for listener in listeners]
    silences = [_longest([began_at, *moments, ended_at]) for moments in heard]
    return Heard(sum(listener.is_open for listener in listeners), min(len(moments) for moments in heard), max(silences))


def _longest(moments: list[float]) -> float:
    return max(after - before for before, after in pairwise(moments))
