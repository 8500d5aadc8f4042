"""The load generator: keep-alive connections, each with one request under way, in a process of its own.

Why an own one: on a machine that client and server share, what the client costs is taken from the server. The fast
generators are no Python packages (wrk, oha, bombardier), so `make setup` could not bring them; those that are cost more
than the server under test. Measured on two cores, posting one event over 64 connections to the raw ASGI handler: this
one 19,000 requests/s at 20 µs of CPU each, locust's FastHttpUser 5,200 at 150 µs, pywrkr 4,000 at 160 µs. It is fast
because it does little: requests are built before the clock starts, of each answer only the status and the length are
read, on uvloop. Its own limit is a row of every run ("generator ceiling": the same generator against a responder that
does nothing), and product and ceiling of a row always face the same generator with the same requests.

Closed loop: a connection sends its next request when the answer to the last has come, so rates are those of saturated
connections. Latencies are measured with arrivals that wait for nobody: `LoadOrder.per_second`, and rows/latency.py.
"""

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice

import uvloop

from bench.workload import Workload, batches, body_of
from grandstand.lab.http_connection import HttpConnection, request_of
from grandstand.lab.sender import Sender

_ANSWERS_SECONDS = 30.0
"""How long the last answers are waited for; what has none by then counts as one of status 0."""

_TICK_SECONDS = 0.001
"""Waking up for each request and answer would cost more than they do; what is late by that counts as waiting."""


@dataclass(frozen=True)
class LoadOrder:
    """What to send. Either each of `requests` over and over for `seconds`, or events made from `seed`, each once.

    With `per_second` requests are due at fixed times, whether or not earlier ones were answered (open loop), latencies
    count from when they were due, and `connections` is how many may be open at most.
    """

    host: str
    port: int
    connections: int
    requests: tuple[bytes, ...] = ()
    seconds: float = 0.0
    key: str | None = None
    players: int = 0
    seed: int = 0
    events: int = 0
    batch_size: int = 1
    per_second: float = 0.0


@dataclass(frozen=True)
class LoadResult:
    """What came of it; times are of the monotonic clock, which all processes share."""

    began_at: float
    ended_at: float
    answers: Counter[int] = field(default_factory=Counter)
    latencies_ms: "array[float]" = field(default_factory=lambda: array("d"))

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended_at - self.began_at

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers.total() / self.seconds


class UnexpectedAnswersError(Exception):
    """The server answered with other statuses than the row expects: its figures would mean nothing."""


def expect(result: LoadResult, status: int) -> LoadResult:
    """Return the result when every answer had this status.

    Raises:
        UnexpectedAnswersError: some had not.
    """
    if set(result.answers) != {status}:
        raise UnexpectedAnswersError(f"Expected only {status}, got {dict(result.answers)}.")
    return result


def prepare_load(order: LoadOrder) -> Callable[[], LoadResult]:
    """Build the requests; return the function that sends them. For `jobs.Job`."""
    if order.requests:
        requests = order.requests
    else:
        made = Workload(order.players, order.seed).events(order.events)
        requests = tuple(
            request_of("POST", "/api/events", key=order.key, body=body_of(batch))
            for batch in batches(made, order.batch_size)
        )
    if order.per_second:
        return lambda: _send_when_due(order, requests)
    return lambda: uvloop.run(_send(order, requests))


def _send_when_due(order: LoadOrder, requests: tuple[bytes, ...]) -> LoadResult:
    answers: Counter[int] = Counter()
    latencies_ms = array("d")

    def answered(_: None, status: int, _body: bytes, seconds: float) -> None:
        answers[status] += 1
        latencies_ms.append(seconds * 1000)

    with Sender(order.host, order.port, order.connections) as sender:
        began_at = time.monotonic()
        for number, request in enumerate(requests):
            due_at = began_at + number / order.per_second
            while time.monotonic() < due_at:
                _take_turn(sender)
            sender.send(None, request, due_at, answered)
        deadline = time.monotonic() + _ANSWERS_SECONDS
        while sender.under_way and time.monotonic() < deadline:
            _take_turn(sender)
        sender.end()
        return LoadResult(began_at, time.monotonic(), answers, latencies_ms)


def _take_turn(sender: Sender) -> None:
    time.sleep(_TICK_SECONDS)
    sender.take_answers()


async def _send(order: LoadOrder, requests: tuple[bytes, ...]) -> LoadResult:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    run = _Run(cycle(requests) if order.seconds else iter(requests), order.connections, done)
    clients = [
        (await loop.create_connection(lambda: _Client(run), order.host, order.port))[1]
        for _ in range(order.connections)
    ]
    # One answer a connection before the clock starts: connections are accepted and code is warm.
    if order.seconds:
        await asyncio.gather(*(client.warm_up(request) for client, request in zip(clients, cycle(requests))))
    run.began_at = time.monotonic()
    if order.seconds:
        loop.call_later(order.seconds, run.stop)
    for client in clients:
        client.next()
    await done
    ended_at = time.monotonic()
    for client in clients:
        client.transport.abort()
    return LoadResult(run.began_at, ended_at, run.answers, run.latencies_ms)


class _Run:
    """What the connections share: the requests to come and the answers so far."""

    def __init__(self, requests: Iterator[bytes], connections: int, done: "asyncio.Future[None]") -> None:
        self.requests = requests
        self.answers: Counter[int] = Counter()
        self.latencies_ms = array("d")
        self.began_at = 0.0
        self._open = connections
        self._done = done

    def stop(self) -> None:
        self.requests = islice(self.requests, 0)

    def connection_idle(self) -> None:
        self._open -= 1
        if self._open == 0 and not self._done.done():
            self._done.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)


class _Client(HttpConnection):
    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run
        self._sent_at = 0.0
        self._warm: asyncio.Future[None] | None = None

    def next(self) -> None:
        request = next(self._run.requests, None)
        if request is None:
            self._run.connection_idle()
            return
        self._sent_at = time.monotonic()
        self.transport.write(request)

    async def warm_up(self, request: bytes) -> None:
        self._warm = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self._warm
        self._warm = None

    def answered(self, status: int, parts: list[bytes]) -> None:  # noqa: ARG002 - what the answer says is not read
        if self._warm is not None:
            self._warm.set_result(None)
            return
        self._run.answers[status] += 1
        self._run.latencies_ms.append((time.monotonic() - self._sent_at) * 1000)
        self.next()

    def failed(self, error: Exception) -> None:
        self._run.fail(error)
