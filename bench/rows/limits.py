"""What rate limits cost: the same page from one API process with limits and one without, in turn, in the same run.

Requests come from many addresses, as a trusted proxy would pass them on: that is dearer than one client that reads all
the time. Both processes are on the deployment's engines and trust the proxy.

The rates of two processes on one busy machine differ by chance more than by limits, so the CPU time of each read is a
fact of the row, too: of the API process and of Valkey, which counts.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from bench.load import LoadOrder
from bench.measures import Row, mean_cores
from bench.suite import BOARD, OK, MeasuredWrongError, Suite, run_counted
from grandstand.lab.http_connection import HttpClient, request_of
from grandstand.settings import ENV_PREFIX

TARGET = 0.9
ADDRESSES = 1_000
_PATH = f"/api/leaderboards/{BOARD}"
_START_TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.1


class _Api(NamedTuple):
    """An API process."""

    port: int
    pid: int


class _Reads(NamedTuple):
    """What one round measured: reads a second, and who kept how many cores busy for them."""

    rate: float
    cores: dict[str, float]

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU that each read cost the API process, and Valkey, which counts."""
        return (self.cores.get("api", 0.0) + self.cores.get("valkey", 0.0)) / self.rate * 1e6


async def measure(suite: Suite) -> list[Row]:
    """Measure reads with limits beside reads without."""
    limited: list[_Reads] = []
    unlimited: list[_Reads] = []
    async with AsyncExitStack() as stack:
        # Nobody comes near the limit, and everybody is counted.
        with_limits = await stack.enter_async_context(_process(suite, anonymous_requests=1_000_000))
        without = await stack.enter_async_context(_process(suite, anonymous_requests=0))
        for number in range(suite.plan.rounds * 2):
            suite.say(f"limits, round {number + 1} of {suite.plan.rounds * 2}")
            # In turn, and each first as often as the other.
            pair = [(limited, with_limits), (unlimited, without)]
            for rounds, api in pair if number % 2 else reversed(pair):
                rounds.append(await _read(suite, api))
    dear, cheap = (statistics.median(reads.cpu_us for reads in rounds) for rounds in (limited, unlimited))
    return [
        Row(
            "limits", f"top 100 with rate limits, {ADDRESSES:,} addresses", "reads/s",
            [reads.rate for reads in limited], [reads.rate for reads in unlimited],
            "the same process without limits", TARGET, cpu_cores=mean_cores([reads.cores for reads in limited]),
            facts={
                "cpu_us_limited": round(dear, 2),
                "cpu_us_unlimited": round(cheap, 2),
                "cpu_ratio": round(cheap / dear, 3),
            },
        )
    ]  # fmt: skip


async def _read(suite: Suite, api: _Api) -> _Reads:
    result, cores = await run_counted(suite, _load(suite, api.port), OK, api=api.pid)
    return _Reads(result.rate, cores)


def _load(suite: Suite, port: int) -> LoadOrder:
    asked = request_of("GET", _PATH)
    requests = tuple(
        asked[:-2] + f"X-Forwarded-For: 198.18.{number // 250}.{number % 250}\r\n\r\n".encode()
        for number in range(ADDRESSES)
    )
    return LoadOrder("127.0.0.1", port, suite.plan.read_connections, requests, suite.plan.read_seconds)


@asynccontextmanager
async def _process(suite: Suite, *, anonymous_requests: int) -> AsyncIterator[_Api]:
    """Run an API process on the deployment's engines; yield it."""
    state = suite.deployment.state
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    environment |= {
        "GRANDSTAND_DATABASE_URL": state.database_url,
        "GRANDSTAND_DATABASE_SCHEMA": state.database_schema,
        "GRANDSTAND_VALKEY_URL": state.valkey_url,
        "GRANDSTAND_VALKEY_PREFIX": state.valkey_prefix,
        "GRANDSTAND_TRUSTED_PROXIES": "127.0.0.1/32",
        "GRANDSTAND_LOG_LEVEL": "warning",
        "GRANDSTAND_RATE_LIMIT_ANONYMOUS_REQUESTS": str(anonymous_requests),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "grandstand", "serve", "--role", "api", "--port", str(port)],
        env=environment,
        stdin=subprocess.DEVNULL,
    )
    try:
        await _wait_until_ready(process, port)
        yield _Api(port, process.pid)
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)


async def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    async with asyncio.timeout(_START_TIMEOUT_SECONDS):
        while process.poll() is None:
            try:
                client = await HttpClient.open("127.0.0.1", port)
                try:
                    if (await client.ask(request_of("GET", "/api/health/ready")))[0] == OK:
                        return
                finally:
                    client.close()
            except OSError:
                pass
            await asyncio.sleep(_POLL_SECONDS)
    raise MeasuredWrongError(f"An API process ended with {process.returncode}.")
