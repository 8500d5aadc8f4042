"""The ceiling of rank reads: ZRANK calls from one process with the product's client library, and nothing else."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle, islice

import uvloop

from grandstand.storage.valkey import open_valkey

RANKS_KEY = "bench:ranks"
"""The sorted set that is asked; who measures fills it."""


@dataclass(frozen=True)
class RankOrder:
    """Which members to ask for, over how many connections, for how long."""

    valkey_url: str
    members: tuple[str, ...]
    connections: int
    seconds: float


def prepare_ranks(order: RankOrder) -> Callable[[], float]:
    """Return the function that calls ZRANK and returns calls per second. For `jobs.Job`."""
    return lambda: uvloop.run(_call(order))


async def _call(order: RankOrder) -> float:
    valkey = open_valkey(order.valkey_url, timeout_seconds=30)
    calls = 0
    began_at = time.monotonic()
    ends_at = began_at + order.seconds

    async def ask(first: int) -> None:
        nonlocal calls
        for member in cycle(islice(cycle(order.members), first, first + len(order.members))):
            await valkey.zrank(RANKS_KEY, member)
            calls += 1
            if time.monotonic() > ends_at:
                return

    await asyncio.gather(*(ask(number) for number in range(order.connections)))
    elapsed_seconds = time.monotonic() - began_at
    await valkey.aclose()
    return calls / elapsed_seconds
