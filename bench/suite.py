"""What every row needs: the deployment, its stream, the sizes, and the ways to load it and wait for it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

import psycopg
from valkey.asyncio import Valkey

from bench.cpu import CpuMeter
from bench.jobs import Job
from bench.load import LoadOrder, LoadResult, expect, prepare_load
from bench.plan import Plan
from bench.raw_http import RawAnswer, RawServer
from bench.workload import Workload, batches, body_of
from grandstand.lab.http_connection import HttpClient, body_in, request_of
from grandstand.lab.own_server import Deployment
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.valkey import open_valkey

BOARD = "global"
ACCEPTED, OK = 202, 200
_POLL_SECONDS = 0.005
_DRAIN_TIMEOUT_SECONDS = 60.0


class MeasuredWrongError(Exception):
    """The product did not do what a row measures (events lost, ranks missing): its figures would mean nothing."""


class Suite:
    """One run's deployment, open for rows. `say` tells the person who waits what is measured now."""

    def __init__(self, plan: Plan, deployment: Deployment, valkey: Valkey, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.deployment = deployment
        self.valkey = valkey
        self.say = say
        self.cpu = CpuMeter(deployment)
        state = deployment.state
        self.streams = EventStreams(valkey, state.valkey_prefix)
        self._seed = 0

    @property
    def database_url(self) -> str:
        """The deployment's PostgreSQL."""
        return self.deployment.state.database_url

    @property
    def schema(self) -> str:
        """The deployment's schema."""
        return self.deployment.state.database_schema

    def next_seed(self) -> int:
        """Return a seed that no other measurement of this run has."""
        self._seed += 1
        return self._seed

    def event_load(self, events: int, batch_size: int, connections: int, host: str, port: int) -> LoadOrder:
        """Return an order to post new events, each once."""
        return LoadOrder(
            host=host,
            port=port,
            connections=connections,
            key=self.deployment.server_key,
            players=self.plan.players,
            seed=self.next_seed(),
            events=events,
            batch_size=batch_size,
        )

    def product_load(self, events: int, batch_size: int, connections: int) -> LoadOrder:
        """Return an order to post new events to the product."""
        return self.event_load(events, batch_size, connections, self.deployment.host, self.deployment.port)

    async def wait_until_drained(self, *, left: int = 0) -> float:
        """Wait until no more than `left` events are unprocessed; return the moment (monotonic clock)."""
        deadline = time.monotonic() + _DRAIN_TIMEOUT_SECONDS
        while (await self.streams.depth()).depth > left:
            if time.monotonic() > deadline:
                raise MeasuredWrongError(
                    f"Events were not processed within {_DRAIN_TIMEOUT_SECONDS:.0f} s. "
                    f"The product said:\n{self.deployment.log_tail()}"
                )
            await asyncio.sleep(_POLL_SECONDS)
        return time.monotonic()

    @asynccontextmanager
    async def all_stored(self, events: int) -> AsyncIterator[None]:
        """Check that the block stores exactly so many events."""
        before = self.count_events()
        yield
        stored = self.count_events() - before
        if stored != events:
            raise MeasuredWrongError(f"{events} events were posted, {stored} are stored.")

    def count_events(self) -> int:
        """Return how many events are stored."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            row = connection.execute(f"SELECT count(*) FROM {self.schema}.events").fetchone()
        assert row is not None
        return int(row[0])

    def count_stored(self, ids: list[UUID]) -> int:
        """Return how many of these events are stored."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            row = connection.execute(f"SELECT count(*) FROM {self.schema}.events WHERE id = ANY(%s)", (ids,)).fetchone()
        assert row is not None
        return int(row[0])

    def settle(self) -> None:
        """Write PostgreSQL's dirty pages out, so that what is measured next does not pay for what came before."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")

    async def ask(self, path: str) -> tuple[int, bytes]:
        """Ask the product with the server key; return the status and the whole answer."""
        client = await HttpClient.open(self.deployment.host, self.deployment.port)
        try:
            return await client.ask(request_of("GET", path, key=self.deployment.server_key))
        finally:
            client.close()


async def run_load(
    order: LoadOrder, status: int, during: Callable[[Job[LoadResult]], Awaitable[None]] | None = None
) -> LoadResult:
    """Run a load in its process; `during` gets the job when it is prepared, and begins it."""
    async with Job(prepare_load, order) as job:
        if during is None:
            job.begin()
        else:
            await during(job)
        return expect(await job.result(), status)


async def run_counted(
    suite: Suite, order: LoadOrder, status: int, *, is_settled: bool = False, **others: int
) -> tuple[LoadResult, dict[str, float]]:
    """Run a load; return what came of it, and who kept how many cores busy meanwhile (`others`: pids by name).

    `is_settled` begins it from a settled state of the engines (`Suite.settle`).
    """
    cores: dict[str, float] = {}

    async def watched(job: Job[LoadResult]) -> None:
        nonlocal cores
        if is_settled:
            suite.settle()
        suite.cpu.start(generator=job.pid, **others)
        job.begin()
        await job.result()
        cores = suite.cpu.stop()

    result = await run_load(order, status, watched)
    return result, cores


async def raw_rate(answer: RawAnswer, status: int, order_for: Callable[[str, int], LoadOrder]) -> float:
    """Return the rate of a raw server under a load."""
    async with RawServer(answer) as server:
        return (await run_load(order_for(server.host, server.port), status)).rate


async def open_suite(
    stack: AsyncExitStack, plan: Plan, workers: int, say: Callable[[str], None], http_processes: int = 1
) -> Suite:
    """Start the deployment and give every player a place on the board."""
    say("starting grandstand up")
    deployment = await stack.enter_async_context(Deployment(workers, http_processes))
    valkey = open_valkey(deployment.state.valkey_url, timeout_seconds=30)
    stack.push_async_callback(valkey.aclose)
    suite = Suite(plan, deployment, valkey, say)
    say("warming up")
    await _rank_everyone(suite)
    return suite


async def _rank_everyone(suite: Suite) -> None:
    events = Workload(suite.plan.players, suite.next_seed()).games_of_everyone()
    client = await HttpClient.open(suite.deployment.host, suite.deployment.port)
    answers: Counter[int] = Counter()
    try:
        for batch in batches(events, suite.plan.batch_size):
            request = request_of("POST", "/api/events", key=suite.deployment.server_key, body=body_of(batch))
            status, answer = await client.ask(request)
            answers[status] += 1
            if status != ACCEPTED:
                raise MeasuredWrongError(f"The warm-up got {status}: {body_in(answer).decode(errors='replace')}")
    finally:
        client.close()
    await suite.wait_until_drained()
