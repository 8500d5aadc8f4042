"""Reads from servers in turn, by a process that never sleeps: what each server's own work costs in CPU time.

A server pays for waking whoever waits for its answer, in the middle of its own time. A generator that waits sleeps more
or less often, as it and the server happen to keep pace, so the faster of two servers is charged for more or fewer
wake-ups than the other, and they look like its work. This one looks for answers again and again, on a core of its own.

Both servers are read from in short turns (one, other, other, one, and so on), so that what comes and goes on the
machine is in both figures; a turn is so many reads, however long they take beside others.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, islice

import psutil

from grandstand.lab.sender import Sender

_HOST = "127.0.0.1"
_TURNS = ("one", "other", "other", "one")
_TURNS_EACH = 12
_TURN_MOST_SECONDS = 60.0
_TIMES = 2  # user and system


@dataclass(frozen=True)
class Server:
    """Where it listens, on loopback, and its process."""

    port: int
    pid: int


@dataclass(frozen=True)
class TurnsOrder:
    """Two servers, what each is asked over and over, how often in a turn; a process `beside_pid` works for both."""

    one: Server
    other: Server
    beside_pid: int
    requests: tuple[bytes, ...]
    connections: int
    turn_reads: int


@dataclass
class Cost:
    """What reads from one server took: wall and CPU time in seconds, of the server and of what works beside it."""

    reads: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    beside_seconds: float = 0.0


class UnexpectedStatusError(Exception):
    """A read was not answered with 200."""


def prepare_turns(orders: tuple[TurnsOrder, ...]) -> Callable[[], list[dict[str, Cost]]]:
    """Return the function that carries out one order after the other: the costs of `one` and `other` of each."""
    return lambda: [_take_turns(order) for order in orders]


def _take_turns(order: TurnsOrder) -> dict[str, Cost]:
    costs = {"one": Cost(), "other": Cost()}
    servers = {"one": order.one, "other": order.other}
    with ExitStack() as stack:
        readers = {
            name: _Reader(stack.enter_context(Sender(_HOST, server.port, order.connections)), order)
            for name, server in servers.items()
        }
        for reader in readers.values():
            # Code and what is kept of each client is warm from then on.
            reader.read(max(order.turn_reads, len(order.requests)))
        for name in islice(cycle(_TURNS), _TURNS_EACH):
            pid, cost = servers[name].pid, costs[name]
            own_before, beside_before, began_at = _used(pid), _used(order.beside_pid), time.monotonic()
            readers[name].read(order.turn_reads)
            cost.reads += order.turn_reads
            cost.seconds += time.monotonic() - began_at
            cost.cpu_seconds += _used(pid) - own_before
            cost.beside_seconds += _used(order.beside_pid) - beside_before
    return costs


def _used(pid: int) -> float:
    """Return the CPU time of a process, in seconds."""
    if psutil.LINUX:
        # What `clock_getcpuclockid` returns: to the nanosecond, where /proc has hundredths of a second.
        return time.clock_gettime((~pid << 3) | 2)
    return float(sum(psutil.Process(pid).cpu_times()[:_TIMES]))


class _Reader:
    """Connections to one server, each with one request under way while it reads."""

    def __init__(self, sender: Sender, order: TurnsOrder) -> None:
        self._sender = sender
        self._connections = order.connections
        self._requests: Iterator[bytes] = cycle(order.requests)
        self._left = 0

    def read(self, count: int) -> None:
        """Read so often; return once all is answered."""
        self._left = count
        deadline = time.monotonic() + _TURN_MOST_SECONDS
        for _ in range(self._connections):
            self._ask()
        while self._sender.under_way:
            # No pause: see the module.
            self._sender.take_answers()
            if time.monotonic() > deadline:
                raise UnexpectedStatusError("Reads were not answered.")

    def _ask(self) -> None:
        if self._left:
            self._left -= 1
            self._sender.send(None, next(self._requests), time.monotonic(), self._answered)

    def _answered(self, _: None, status: int, body: bytes, _seconds: float) -> None:
        if status != 200:
            raise UnexpectedStatusError(f"A read was answered with {status}: {body[:200]!r}.")
        self._ask()
