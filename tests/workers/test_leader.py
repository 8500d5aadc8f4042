"""One scheduler leads: take-over, fencing, release, and that no schedule of faults makes two leaders write."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from grandstand.storage.leases import LeaseLostError, LeaseStore, Term
from grandstand.storage.postgres import OUT_OF_REACH, Database, open_pool
from grandstand.workers.leader import Leader
from grandstand.workers.loop import run_every
from tests.support.engines import SCHEMA, RunningEngines
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LEASES = LeaseStore()
LONG = 60.0
SHORT = 0.4
"""Lives of leases in seconds: one that does not end within a test, and one that a test waits for."""

OFTEN = {"renewal_seconds": 0.05}
"""For who asks again and again. What is to end by its time is ended by hand: a busy machine takes any time."""

DONE_SECONDS = 8.0
"""For what does not wait: less than what PostgreSQL lets somebody wait for a lock."""


class Clock:
    """A process's own clock: it stands still, as in a process that is paused, until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Schedulers:
    """Processes that want to lead, each with connections of its own."""

    open_database: Callable[[], Any]
    watching: Database

    async def new(self, holder: str, life_seconds: float = LONG, **options: Any) -> Leader:
        database = await self.open_database()
        options = {"renewal_seconds": life_seconds / 5} | options
        return Leader(database, LEASES, holder, life_seconds=life_seconds, **options)

    async def expire(self) -> None:
        """Let the life of the lease pass."""
        await self.watching.pool.execute("UPDATE leases SET expires_at = clock_timestamp()")

    async def holder(self) -> str | None:
        """Who has the lease, if it is running."""
        found: str | None = await self.watching.pool.fetchval(
            "SELECT holder FROM leases WHERE expires_at > clock_timestamp()"
        )
        return found

    async def can_write(self, term: Term | None) -> bool:
        """Whether a fenced transaction of this term would pass."""
        if term is None:
            return False
        try:
            async with self.watching.transaction() as connection:
                await LEASES.fence(connection, term)
        except LeaseLostError:
            return False
        return True

    async def is_waiting(self) -> bool:
        """Whether somebody waits for a lock."""
        found: bool = await self.watching.pool.fetchval(
            "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return found


@pytest.fixture(scope="module")
def leader_database_url(engines: RunningEngines, template_database: str) -> Any:
    """A database for the tests of this module."""
    name = engines.create_database(template_database)
    yield engines.database_url(name)
    engines.drop_database(name)


@pytest.fixture
async def schedulers(anyio_backend: Any, leader_database_url: str) -> AsyncIterator[Schedulers]:
    """Nobody has led yet."""
    async with AsyncExitStack() as stack:

        async def open_database() -> Database:
            pool = await open_pool(
                leader_database_url,
                schema=SCHEMA,
                size_min=0,
                size_max=3,
                statement_timeout_seconds=10,
                application_name="tests",
            )
            stack.callback(pool.terminate)
            return Database(pool, 5)

        watching = await open_database()
        await watching.pool.execute("TRUNCATE leases")
        yield Schedulers(open_database, watching)


async def test_one_leads_and_keeps_leading(schedulers: Schedulers) -> None:
    one, other = await schedulers.new("one"), await schedulers.new("other")
    await one.step()
    await other.step()
    assert one.term is not None
    assert one.term.token == 1
    assert other.term is None
    await one.step()
    await other.step()
    assert one.term.token == 1, "a renewal is no new term"
    assert other.term is None
    assert await schedulers.can_write(one.term)


async def test_another_takes_over_when_the_leader_dies(schedulers: Schedulers) -> None:
    one, other = await schedulers.new("one", SHORT, monotonic=Clock()), await schedulers.new("other", **OFTEN)
    await one.step()
    term = one.term
    assert term is not None
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(other.run(stop))
        # As after a kill: the process asks for no renewal any more, and connections break (the other's too).
        await schedulers.watching.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        next_term = await asyncio.wait_for(other.wait_for_term(), 20)
        assert next_term.token == term.token + 1
        assert not await schedulers.can_write(term)
        stop.set()


async def test_a_paused_leader_is_refused_when_it_wakes(schedulers: Schedulers) -> None:
    clock = Clock()
    paused = await schedulers.new("paused", monotonic=clock)
    other = await schedulers.new("other", **OFTEN)
    rows: list[int] = []

    async def write() -> None:
        async with schedulers.watching.transaction() as connection:
            await paused.fence(connection)
            rows.append(1)

    await paused.step()
    await paused.while_leading(write)()
    assert rows == [1]
    stop = asyncio.Event()
    running = asyncio.create_task(other.run(stop))
    await schedulers.expire()
    await asyncio.wait_for(other.wait_for_term(), 20)
    # Its own clock stood still meanwhile, as in a machine that was suspended: it believes.
    assert paused.term is not None
    await paused.while_leading(write)()
    assert rows == [1]
    await paused.step()
    assert paused.term is None
    stop.set()
    await running


async def test_a_leader_cut_off_stops_by_itself(schedulers: Schedulers, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    one = await schedulers.new("one", monotonic=clock)
    await one.step()
    monkeypatch.setattr(one, "_database", Database(await _dead_pool(schedulers), 1))
    await one.step()
    assert one.term is not None
    clock.seconds += LONG
    assert one.term is None, "in doubt"
    ran: list[int] = []

    async def act() -> None:
        ran.append(1)

    await one.while_leading(act)()
    assert ran == []
    monkeypatch.setattr(one, "_database", schedulers.watching)
    await one.step()
    assert one.term is not None
    assert one.term.token == 1, "nobody had it meanwhile"
    await one.while_leading(act)()
    assert ran == [1]


async def _dead_pool(schedulers: Schedulers) -> Any:
    database = await schedulers.open_database()
    await database.pool.close()
    return database.pool


async def test_a_fence_is_by_the_clock_of_the_moment(schedulers: Schedulers) -> None:
    """A transaction begun before a pause and fenced after it is refused, although nobody took over."""
    one = await schedulers.new("one")
    await one.step()
    assert one.term is not None
    async with schedulers.watching.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT 1")
        await schedulers.expire()
        with pytest.raises(LeaseLostError, match="Term 1 "):
            await LEASES.fence(connection, one.term)
        await transaction.rollback()


async def test_a_take_over_waits_for_fenced_writers_and_a_renewal_does_not(schedulers: Schedulers) -> None:
    one, other = await schedulers.new("one"), await schedulers.new("other")
    await one.step()
    assert one.term is not None
    async with schedulers.watching.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await LEASES.fence(connection, one.term)
        await asyncio.wait_for(one.step(), DONE_SECONDS)
        await asyncio.wait_for(other.step(), DONE_SECONDS)  # finds a leader in office, and does not wait either
        assert other.term is None
        await schedulers.expire()
        taking = asyncio.create_task(other.step())
        await eventually_async(schedulers.is_waiting)
        assert other.term is None
        await connection.execute("SELECT 1")
        await transaction.commit()
        await taking
    assert other.term is not None
    assert other.term.token == 2


async def test_a_leader_paused_amid_a_transaction_loses_it(schedulers: Schedulers) -> None:
    one, other = await schedulers.new("one"), await schedulers.new("other", **OFTEN)
    await one.step()
    assert one.term is not None
    async with schedulers.watching.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await LEASES.fence(connection, one.term)
        await connection.execute("CREATE TABLE half_done (n int)")
        # From this word on it is paused: the life of its lease is the longest that it may be.
        await LEASES.fence(connection, replace(one.term, life_seconds=SHORT))
        await schedulers.expire()
        stop = asyncio.Event()
        running = asyncio.create_task(other.run(stop))
        assert (await asyncio.wait_for(other.wait_for_term(), 20)).token == 2
        with pytest.raises(OUT_OF_REACH):
            await connection.execute("SELECT 1")
        stop.set()
        await running
    assert await schedulers.watching.pool.fetchval("SELECT to_regclass('half_done')") is None


async def test_the_silence_limit_ends_with_the_transaction(schedulers: Schedulers) -> None:
    one = await schedulers.new("one")
    await one.step()
    assert one.term is not None
    async with schedulers.watching.connection() as connection:
        usual = await connection.fetchval("SHOW idle_in_transaction_session_timeout")
        async with connection.transaction():
            await LEASES.fence(connection, one.term)
            assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "1min"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == usual != "1min"


async def test_a_stop_lets_a_round_end_and_releases(schedulers: Schedulers) -> None:
    # The renewals in between keep the lease, however long the round takes.
    one, other = await schedulers.new("one", **OFTEN), await schedulers.new("other")
    stop, begun, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    rounds: list[str] = []

    async def work() -> None:
        rounds.append("begun")
        begun.set()
        await may_end.wait()
        async with schedulers.watching.transaction() as connection:
            await one.fence(connection)
        rounds.append("ended")

    async with asyncio.TaskGroup() as group:
        running = group.create_task(one.run(stop))
        group.create_task(run_every("work", 0.01, one.while_leading(work), stop))
        await asyncio.wait_for(begun.wait(), 20)
        assert one.term is not None
        before = await _expiry(schedulers)
        stop.set()
        await eventually_async(lambda: _is_later(schedulers, before))
        await other.step()
        assert other.term is None
        assert not running.done()
        may_end.set()
        await asyncio.wait_for(running, 20)
    assert rounds == ["begun", "ended"]
    assert one.term is None
    assert await schedulers.holder() is None
    await other.step()
    assert other.term is not None
    assert other.term.token == 2


async def _expiry(schedulers: Schedulers) -> Any:
    return await schedulers.watching.pool.fetchval("SELECT expires_at FROM leases")


async def _is_later(schedulers: Schedulers, before: Any) -> bool:
    later: bool = await _expiry(schedulers) > before
    return later


async def test_a_round_keeps_to_the_term_it_began_in(schedulers: Schedulers) -> None:
    """What was read in one term is not written in a later one, even by the same process."""
    one, other = await schedulers.new("one"), await schedulers.new("other")
    await one.step()
    terms: list[int] = []

    async def work() -> None:
        await schedulers.expire()
        await other.step()
        await schedulers.expire()
        for _ in range(2):
            await one.step()
        assert one.term is not None
        terms.append(one.term.token)
        async with schedulers.watching.transaction() as connection:
            await one.fence(connection)
        terms.append(0)

    await one.while_leading(work)()
    assert terms == [3]


async def test_outside_of_a_round_nothing_passes_the_fence(schedulers: Schedulers) -> None:
    one = await schedulers.new("one")
    await one.step()
    with pytest.raises(LeaseLostError):
        async with schedulers.watching.transaction() as connection:
            await one.fence(connection)


async def test_other_errors_of_a_round_are_raised(schedulers: Schedulers) -> None:
    one = await schedulers.new("one")
    await one.step()

    async def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await one.while_leading(fail)()


async def test_leases_of_different_names_do_not_touch(schedulers: Schedulers) -> None:
    one, other = await schedulers.new("one", name="a"), await schedulers.new("other", name="b")
    await one.step()
    await other.step()
    assert one.term is not None
    assert other.term is not None
    assert not await schedulers.can_write(Term("a", 2, LONG))
    assert not await schedulers.can_write(Term("c", 1, LONG))


@pytest.mark.parametrize("seed", range(8))
async def test_no_schedule_of_faults_lets_two_terms_write(schedulers: Schedulers, seed: int) -> None:
    """Renewals, pauses, deaths, releases and expiries in any order: one term at most passes the fence at a time."""
    randomly = random.Random(seed)
    clock = Clock()  # all paused as long as nobody moves it: everyone goes on believing
    leaders = [await schedulers.new(f"first {number}", monotonic=clock) for number in range(3)]
    terms: set[Term] = set()
    wrote = 0
    for number in range(60):
        match randomly.choice(("step", "step", "step", "expire", "release", "restart", "pass")):
            case "step":
                await asyncio.gather(*(leader.step() for leader in randomly.sample(leaders, randomly.randint(1, 3))))
            case "expire":
                await schedulers.expire()
            case "release":
                stop = asyncio.Event()
                stop.set()
                gone = randomly.randrange(3)
                await leaders[gone].run(stop)
                leaders[gone] = await schedulers.new(f"released {number}", monotonic=clock)
            case "restart":
                leaders[randomly.randrange(3)] = await schedulers.new(f"restarted {number}", monotonic=clock)
            case "pass":
                clock.seconds += randomly.uniform(0, LONG)
        terms |= {leader.term for leader in leaders if leader.term is not None}
        passing = [term.token for term in terms if await schedulers.can_write(term)]
        assert len(passing) <= 1
        if passing:
            assert passing == [max(term.token for term in terms)], "only the newest term writes"
            assert passing[0] >= wrote
            wrote = passing[0]
    assert wrote > 1


async def test_writes_of_rivals_come_in_the_order_of_their_tokens(schedulers: Schedulers) -> None:
    """Rivals that freeze at random write whenever they believe; what is committed is in the order of terms."""
    await schedulers.watching.pool.execute(
        "CREATE TABLE fenced (n bigint GENERATED ALWAYS AS IDENTITY, token bigint, holder text)"
    )
    randomly = random.Random(5)
    stop = asyncio.Event()
    frozen: set[str] = set()
    refused = 0

    async def freeze(name: str) -> None:
        """Until the lease is over, and mostly until another leads; one at a time, so that there is another."""
        frozen.add(name)
        await schedulers.expire()
        if randomly.random() < 0.7:
            await eventually_async(lambda: is_led_by_another(name))
        frozen.discard(name)

    async def is_led_by_another(name: str) -> bool:
        return stop.is_set() or await schedulers.holder() not in (None, name)

    async def rival(name: str) -> None:
        nonlocal refused
        leader = await schedulers.new(name, monotonic=Clock())
        database = await schedulers.open_database()

        async def write() -> None:
            nonlocal refused
            term = leader.term
            assert term is not None
            await asyncio.sleep(0)
            if not frozen and randomly.random() < 0.4:
                await freeze(name)
            async with database.transaction() as connection:
                try:
                    await leader.fence(connection)
                except LeaseLostError:
                    refused += 1
                    raise
                await connection.execute("INSERT INTO fenced (token, holder) VALUES ($1, $2)", term.token, name)

        while not stop.is_set():
            await leader.step()
            await leader.while_leading(write)()

    async def has_seen_enough() -> bool:
        terms = await schedulers.watching.pool.fetchval("SELECT count(DISTINCT token) FROM fenced")
        return bool(terms >= 8 and refused >= 3)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(rival(f"rival {number}"))
        await eventually_async(has_seen_enough, 20)
        stop.set()
    rows = await schedulers.watching.pool.fetch("SELECT token, holder FROM fenced ORDER BY n")
    tokens = [row["token"] for row in rows]
    assert tokens == sorted(tokens)
    assert len({(row["token"], row["holder"]) for row in rows}) == len(set(tokens)), "a token has one holder"
