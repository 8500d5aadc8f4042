"""What rate limits cost: the same page from an API process with limits and from one without, in the same run.

- `limits`: requests come from 1,000 addresses, as a trusted proxy would pass them on. Each has another head, so none is
  known from the one before it, and every count is another place in memory.
- `limits_own`: the usual client has an address of its own and no proxy: its head is the one that it sent before.

Figures are reads for a second of CPU time, of the process and of what it makes Valkey do, not for a second of the
clock: a limiter is work, and on a busy machine the clock tells as much of the others (`rate_ratio`, a fact of the row,
is by the clock). What made the two differ by more than limits do, and is kept out:

- Two processes of the same code differ by up to 15 % in CPU time a read, for as long as they live: by where their
  memory happens to lie. So each round starts a fresh pair, there are many rounds, and the ratio is the median of pairs.
- A generator that sleeps is woken at the server's cost, more often by the faster one. Here it does not sleep, and reads
  from both in turns: see `bench/awake.py`.

Nobody comes near the limit, and everybody is counted. Both processes are on the deployment's engines and trust the
proxy.
"""

import asyncio
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager

import psutil

from bench.awake import Cost, Server, TurnsOrder, prepare_turns
from bench.jobs import Job
from bench.measures import Row, mean_cores
from bench.suite import BOARD, OK, MeasuredWrongError, Suite
from grandstand.lab.http_connection import HttpClient, request_of
from grandstand.settings import ENV_PREFIX

TARGET = 0.9
ADDRESSES = 1_000
_PATH = f"/api/leaderboards/{BOARD}"
_NEVER_REACHED = 1_000_000_000
_START_TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.05


async def measure(suite: Suite) -> list[Row]:
    """Measure reads with limits beside reads without, with a fresh pair of processes in each round."""
    pairs: list[list[dict[str, Cost]]] = []
    cores = []
    for number in range(suite.plan.limit_pairs):
        suite.say(f"limits, pair {number + 1} of {suite.plan.limit_pairs}")
        async with AsyncExitStack() as stack:
            with_limits = stack.enter_context(_process(suite, anonymous_requests=_NEVER_REACHED))
            without = stack.enter_context(_process(suite, anonymous_requests=0))
            await asyncio.gather(_wait_until_ready(with_limits), _wait_until_ready(without))
            orders = tuple(_order(suite, with_limits, without, requests) for requests in _kinds_of_requests())
            job = await stack.enter_async_context(Job(prepare_turns, orders))
            suite.cpu.start(generator=job.pid, api=with_limits.pid, api_without=without.pid)
            job.begin()
            pairs.append(await job.result())
            cores.append(suite.cpu.stop())
    titles = {
        "limits": f"top 100 with rate limits, {ADDRESSES:,} addresses behind a proxy",
        "limits_own": "top 100 with rate limits, the usual client",
    }
    return [
        _row(key, title, [pair[place] for pair in pairs], mean_cores(cores))
        for place, (key, title) in enumerate(titles.items())
    ]


def _row(key: str, title: str, pairs: Sequence[dict[str, Cost]], cores: dict[str, float]) -> Row:
    dear, cheap, rate_ratios = [], [], []
    for costs in pairs:
        limited, unlimited = costs["one"], costs["other"]
        # Valkey works for the deployment, too: what it does while nothing is limited is not the limiter's.
        counting = limited.beside_seconds / limited.reads - unlimited.beside_seconds / unlimited.reads
        dear.append(limited.cpu_seconds / limited.reads + counting)
        cheap.append(unlimited.cpu_seconds / unlimited.reads)
        rate_ratios.append((limited.reads / limited.seconds) / (unlimited.reads / unlimited.seconds))
    return Row(
        key, title, "reads/s of CPU", [1 / each for each in dear], [1 / each for each in cheap],
        "a process without limits", TARGET, cpu_cores=cores,
        facts={
            "cpu_us_limited": round(statistics.median(dear) * 1e6, 2),
            "cpu_us_unlimited": round(statistics.median(cheap) * 1e6, 2),
            "cpu_us_more": round(statistics.median(d - c for d, c in zip(dear, cheap, strict=True)) * 1e6, 2),
            "rate_ratio": round(statistics.median(rate_ratios), 3),
        },
    )  # fmt: skip


def _kinds_of_requests() -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    asked = request_of("GET", _PATH)
    passed_on = tuple(
        asked[:-2] + f"X-Forwarded-For: 198.18.{number // 250}.{number % 250}\r\n\r\n".encode()
        for number in range(ADDRESSES)
    )
    return passed_on, (asked,)


def _order(suite: Suite, one: Server, other: Server, requests: tuple[bytes, ...]) -> TurnsOrder:
    tree = psutil.Process(suite.deployment.supervisor_pid).children(recursive=True)
    valkey = next(process.pid for process in tree if process.name().startswith("valkey"))
    return TurnsOrder(
        one, other, valkey, requests, suite.plan.read_connections, suite.plan.limit_reads
    )  # fmt: skip


@contextmanager
def _process(suite: Suite, *, anonymous_requests: int) -> Iterator[Server]:
    """Run an API process on the deployment's engines; yield it at once, before it is ready."""
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
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


async def _wait_until_ready(server: Server) -> None:
    process = psutil.Process(server.pid)
    async with asyncio.timeout(_START_TIMEOUT_SECONDS):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            try:
                client = await HttpClient.open("127.0.0.1", server.port)
                try:
                    if (await client.ask(request_of("GET", "/api/health/ready")))[0] == OK:
                        return
                finally:
                    client.close()
            except OSError:
                pass
            await asyncio.sleep(_POLL_SECONDS)
    raise MeasuredWrongError("An API process ended before it was ready.")
