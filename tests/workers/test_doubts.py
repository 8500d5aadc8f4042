"""Events whose failure looks like that of an engine, and engines whose trouble looks like that of events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from grandstand.storage.event_stream import HIGH
from grandstand.telemetry import metrics
from tests.support.core import NOON, Core, event, open_core
from tests.support.waiting import eventually_async
from tests.support.workers import consumer, running

pytestmark = pytest.mark.anyio

QUICK: dict[str, Any] = {"retry_seconds": 0.05, "patience_seconds": 0.2}
_TIMEOUT_SECONDS = 0.5

RULES = {
    "UndefinedColumnError": "PERFORM NEW.nothing",
    "ConfigurationLimitExceededError": "RAISE EXCEPTION 'quota' USING ERRCODE = '53400'",
    "QueryCanceledError": "RAISE EXCEPTION 'cancelled' USING ERRCODE = '57014'",
    "TimeoutError": "PERFORM pg_sleep(600)",
    "ConnectionDoesNotExistError": "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1)",
}
"""What a rule in the database may do to an event, by the error that comes of it."""


@asynccontextmanager
async def rule(core: Core, action: str, condition: str = "NEW.user_id = 'eve'") -> AsyncIterator[None]:
    """A rule of an operator's own on what is stored."""
    await core.database.pool.execute(
        f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {action}; RETURN NEW; END $$;"
        f"CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION refuse()"
    )
    try:
        yield
    finally:
        await core.database.pool.execute("DROP FUNCTION refuse CASCADE")


@pytest.fixture
async def impatient(core: Core, core_database_url: str, valkey_url: str) -> AsyncIterator[Core]:
    """The same core with a short time-out of statements, as a worker has it."""
    async with open_core(
        core_database_url, valkey_url, core.prefix, keeps=True, statement_timeout_seconds=_TIMEOUT_SECONDS
    ) as opened:
        await opened.refresh()
        yield opened


async def dead_letters(core: Core) -> list[Any]:
    found: list[Any] = await core.database.pool.fetch("SELECT user_id, error, message, attempts FROM dead_letters")
    return found


async def is_drained(core: Core) -> bool:
    return (await core.stream.depth()).depth == 0


def count(name: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"{name}_total", {}) or 0


@pytest.mark.parametrize("error", RULES)
async def test_an_event_that_fails_like_an_engine_is_a_dead_letter(core: Core, impatient: Core, error: str) -> None:
    good = [event(f"p{number}", number) for number in range(20)]
    # Only what never ends needs a short time-out: a busy disk would put it in the place of any other error.
    worker = consumer(impatient if error == "TimeoutError" else core, **QUICK)
    async with rule(core, RULES[error]), running(worker):
        await core.stream.append([*good[:10], event("eve"), *good[10:]], [], NOON)
        later = [event(f"q{number}", number) for number in range(20)]
        await core.stream.append(later, [], NOON)
        await eventually_async(lambda: is_drained(core), 40)
    (letter,) = await dead_letters(core)
    assert (letter["user_id"], letter["error"], letter["attempts"]) == ("eve", error, 3)
    assert letter["message"]
    await core.check("global", good + later)


async def test_an_event_that_is_alone_need_not_wait_for_another(core: Core) -> None:
    async with rule(core, RULES["ConfigurationLimitExceededError"]), running(consumer(core, **QUICK)):
        await core.stream.append([event("eve")], [], NOON)
        await eventually_async(lambda: is_drained(core), 20)
    assert len(await dead_letters(core)) == 1


async def test_a_batch_too_large_for_a_slow_disk_makes_progress(core: Core, impatient: Core) -> None:
    """Each event takes so long that no batch of the usual size is done before the time-out."""
    events = [event(f"p{number}", number) for number in range(120)]
    slow = f"PERFORM pg_sleep({_TIMEOUT_SECONDS / 40})"
    async with rule(core, slow, "NEW.event_type = 'game_ended'"), running(consumer(impatient, **QUICK)):
        for start in range(0, 120, 10):
            await core.stream.append(events[start : start + 10], [], NOON)
        await eventually_async(lambda: is_drained(core), 40)
    assert await dead_letters(core) == []
    await core.check("global", events)


async def test_after_a_batch_that_took_too_long_they_are_smaller(core: Core, impatient: Core) -> None:
    await core.stream.create_group()
    worker = consumer(impatient, **QUICK | {"patience_seconds": 0})
    sizes: list[int] = []
    apply = worker._isolator._applier.apply

    async def noting(blocks: Any) -> Any:
        sizes.append(sum(block.events for block in blocks))
        return await apply(blocks)

    worker._isolator._applier.apply = noting  # type: ignore[method-assign]
    for start in range(0, 160, 10):
        await core.stream.append([event(f"p{number}") for number in range(start, start + 10)], [], NOON)
    slow = f"PERFORM pg_sleep({_TIMEOUT_SECONDS / 40})"
    async with rule(core, slow, "NEW.event_type = 'game_ended'"), running(worker):
        await eventually_async(lambda: is_drained(core), 40)
        failed = len(sizes)
        for start in range(0, 80, 10):
            await core.stream.append([event(f"q{number}") for number in range(start, start + 10)], [], NOON)
        await eventually_async(lambda: is_drained(core), 40)
    assert max(sizes[failed:]) < max(sizes[:failed]) / 2


@pytest.mark.parametrize("lock", ["events", "entries"])
async def test_a_table_that_is_locked_is_no_events_fault(core: Core, impatient: Core, lock: str) -> None:
    """Somebody changes a table for longer than all patience: PostgreSQL answers, and nothing can be stored."""
    first = [event("ann", 5)]
    events = [event(f"p{number}", number) for number in range(10)]
    split = count("grandstand_batches_split")
    async with running(consumer(impatient, **QUICK)):
        await core.stream.append(first, [], NOON)
        await eventually_async(lambda: is_drained(core))
        async with core.database.transaction() as connection:
            await connection.execute(f"LOCK TABLE {lock} IN ACCESS EXCLUSIVE MODE")
            await core.stream.append(events, [], NOON)
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass"
            for _ in range(4):
                await eventually_async(lambda: connection.fetchval(waits, lock), 20, "somebody waits for it")
                await eventually_async(lambda: is_zero(connection, waits, lock), 20, "and has given up")
        await eventually_async(lambda: is_drained(core), 20)
    assert count("grandstand_batches_split") == split
    assert await dead_letters(core) == []
    await core.check("global", first + events)


async def is_zero(connection: Any, query: str, lock: str) -> bool:
    return bool(await connection.fetchval(query, lock) == 0)


async def test_a_table_that_is_missing_is_no_events_fault(core: Core, impatient: Core) -> None:
    """An upgrade under way: many tries, and each of them finds that nothing else could be stored."""
    events = [event(f"p{number}", number) for number in range(10)]
    split = count("grandstand_batches_split")
    tries = 0
    worker = consumer(impatient, **QUICK)
    apply = worker._isolator._applier.apply

    async def counting(blocks: Any) -> Any:
        nonlocal tries
        tries += 1
        return await apply(blocks)

    worker._isolator._applier.apply = counting  # type: ignore[method-assign]
    await core.database.pool.execute("ALTER TABLE entries RENAME TO hidden")
    try:
        async with running(worker):
            await core.stream.append(events, [], NOON)
            await eventually_async(lambda: asyncio.sleep(0, tries > 4), 20, "it is tried again and again")
            await core.database.pool.execute("ALTER TABLE hidden RENAME TO entries")
            await eventually_async(lambda: is_drained(core), 20)
    finally:
        await core.database.pool.execute("ALTER TABLE IF EXISTS hidden RENAME TO entries")
    assert count("grandstand_batches_split") == split
    assert await dead_letters(core) == []
    await core.check("global", events)


async def test_a_rehearsal_leaves_nothing(core: Core) -> None:
    await core.stream.create_group()
    await core.stream.append([event("ann", 5)], [], NOON)
    await core.applier.apply(await core.stream.read("w", HIGH, 1))
    await core.applier.rehearse()
    assert await core.count_events() == 1
