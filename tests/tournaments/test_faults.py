"""Whoever dies, hangs or comes twice at whatever point: settled once, paid once, told once."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from typing import Any

import pytest

from grandstand.domain.errors import UnavailableError
from grandstand.operations.run_tournaments import TournamentRunner
from grandstand.operations.settle_tournament import TournamentSettler
from grandstand.storage.leases import LeaseStore
from grandstand.workers.leader import Leader
from tests.support.waiting import eventually_async
from tests.tournaments.cups import DAILY, HOUR, SETTLED_AFTER, START, Cups, score, together
from tests.tournaments.hooked import HookedDatabase, KilledError, Killer

PRIZES = [
    {"from": 1, "kind": "gold", "amount": 100},
    {"from": 2, "to": 3, "kind": "gold", "amount": 50},
    {"top_percent": 40, "kind": "ticket", "amount": 1},
]
AMID = ("standings", "prizes")
"""What is written of a settlement, one after the other."""

USERS = ["ann", "bob", "cid", "dan", "eve"]
WANTED = [("ann", 0, 100), ("ann", 2, 1), ("bob", 1, 50), ("bob", 2, 1), ("cid", 1, 50)]


async def play(cups: Cups, cup: str) -> None:
    """A tournament that is over and waits for every one of its steps."""
    cups.time.at(START - HOUR)
    await cups.create(cup, prizes=PRIZES, repeat=DAILY)
    cups.time.at(START)
    await cups.send(*(score(user, 10 - number, cup=cup) for number, user in enumerate(USERS)))
    cups.time.at(START + HOUR + SETTLED_AFTER)


async def check(cups: Cups, cup: str) -> None:
    assert [row.user_id for row in await cups.standings(cup)] == USERS
    rows = await cups.fetch("SELECT user_id, rule, amount FROM prizes WHERE tournament_id = $1", cup)
    assert sorted(tuple(row) for row in rows) == WANTED
    rows = await cups.fetch("SELECT status FROM occurrences WHERE tournament_id = $1 ORDER BY occurrence", cup)
    assert [row[0] for row in rows] == ["settled", "scheduled"]
    for event_type, count in {"tournament.started": 1, "tournament.settled": 1, "prize.awarded": 5}.items():
        assert len([told for told in await cups.told(event_type) if told["tournament_id"] == cup]) == count


async def test_killed_at_every_point(cups: Cups) -> None:
    pool = cups.core.database.pool
    nobody = Killer(0)
    await play(cups, "whole")
    await cups.other(HookedDatabase(pool, nobody)).runner.run()
    await check(cups, "whole")
    assert nobody.points > 50, "every statement of every step is a point"
    for fatal in range(1, nobody.points + 1):
        cup = f"killed-{fatal}"
        await play(cups, cup)
        with pytest.raises((KilledError, UnavailableError)):
            await cups.other(HookedDatabase(pool, Killer(fatal))).runner.run()
        standings, prizes = await cups.standings(cup), await cups.awarded(cup)
        assert (len(standings), len(prizes)) in ((0, 0), (len(USERS), len(WANTED)))
        await cups.other().runner.run()
        await check(cups, cup)
    assert await cups.runner.run() == 0
    await cups.check_books()


async def test_a_process_is_killed_while_it_settles(cups: Cups, core_database_url: str, valkey_url: str) -> None:
    """Real ones, killed amid what they write, and at moments spread over the time that a whole settlement takes."""
    await cups.create(prizes=[{"from": 1, "to": 2000, "kind": "gold", "amount": 1}])
    cups.time.at(START)
    await cups.send(*(score(f"u{number}", number % 97) for number in range(4000)))
    cups.time.at(START + HOUR + SETTLED_AFTER)
    command = [
        sys.executable, "-m", "tests.tournaments.settling", core_database_url, valkey_url, cups.core.prefix,
        cups.time.now.isoformat(),
    ]  # fmt: skip
    randomly = random.Random(4)
    for number in range(8):
        if number < len(AMID):
            before = await _kill_amid(cups, command, AMID[number])
        else:
            before = await _sessions(cups)
            await asyncio.to_thread(_kill_after, command, (number + randomly.random()) * 0.04)
        await eventually_async(lambda b=before: _ended(cups, b), 30, what="the server is done with what it sent last")
        found = [len(await cups.standings()), len(await cups.awarded())]
        assert found == ([4000, 2000] if (await cups.lister.get("cup")).status == "settled" else [0, 0])
        await cups.check_books()
    await cups.run()
    assert (len(await cups.standings()), len(await cups.awarded())) == (4000, 2000)
    await cups.check_books()


async def _sessions(cups: Cups) -> set[int]:
    """Who is connected to the database."""
    rows = await cups.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
    )
    return {row[0] for row in rows}


async def _ended(cups: Cups, before: set[int]) -> bool:
    """Whether nobody is connected who was not before: what a killed process sent last counts even after its end."""
    return await _sessions(cups) <= before


async def _kill_amid(cups: Cups, command: list[str], table: str) -> set[int]:
    """Start a process and kill it when it waits for a table; return who was connected before."""
    async with cups.core.database.transaction() as connection:
        await connection.execute(f"LOCK TABLE {table} IN SHARE MODE")
        before = await _sessions(cups)
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass"
        await eventually_async(lambda: connection.fetchval(waits, table), 60, "it waits for the table")
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    return before


def _kill_after(command: list[str], delay_seconds: float) -> None:
    """Start a process and kill it so long after it has begun, unless it is done by then."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            process.wait(delay_seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)


async def test_two_at_once(cups: Cups) -> None:
    names = [f"cup-{number}" for number in range(15)]
    for cup in names:
        await play(cups, cup)
    counts = await together(*(cups.other().runner.run() for _ in range(3)))
    assert sum(counts) == 3 * len(names)
    for cup in names:
        await check(cups, cup)
    await cups.check_books()


class Pause:
    """Stops whoever comes before or after a statement (or a commit) for the first time, until it is woken."""

    def __init__(self, when: str, statement: str) -> None:
        self._when, self._statement = when, statement
        self.reached, self.woken = asyncio.Event(), asyncio.Event()

    def is_at(self, point: str) -> bool:
        return point.startswith(self._when) and self._statement in point and not self.reached.is_set()

    async def __call__(self, point: str, connection: Any) -> None:
        if self.is_at(point):
            self.reached.set()
            await self.woken.wait()


@pytest.mark.parametrize(
    ("when", "statement"),
    [
        ("after", "UPDATE rankings SET state = 'closed'"),
        ("before", "SET status = 'settled'"),
        ("after", "SET status = 'settled'"),
        ("after", "INSERT INTO standings"),
        ("after", "INSERT INTO webhook_events"),
    ],
)
async def test_a_sleeper_in_a_transaction(cups: Cups, when: str, statement: str) -> None:
    """Whether it holds locks or not, one of the two settles and the other finds it done."""
    await play(cups, "cup")
    pause = Pause(when, statement)
    sleeper = asyncio.create_task(cups.other(HookedDatabase(cups.core.database.pool, pause)).runner.run())
    await asyncio.wait_for(pause.reached.wait(), 20)
    other = asyncio.create_task(cups.other().runner.run())
    await asyncio.wait([other], timeout=0.2)
    pause.woken.set()
    await asyncio.gather(sleeper, other)
    await check(cups, "cup")
    await cups.check_books()


async def test_a_sleeper_between_two_transactions_finds_all_done(cups: Cups) -> None:
    await play(cups, "cup")
    (due,) = await cups.runner._due()
    for status in ("scheduled", "active"):
        assert due.item.status == status
        assert await cups.runner._step([due.item])
        due = next(each for each in await cups.runner._due() if each.item.occurrence == 1)
    closed = Pause("after", "commit")
    sleeper = cups.other(HookedDatabase(cups.core.database.pool, closed))
    await sleeper.runner._due()
    asleep = asyncio.create_task(sleeper.runner._step([due.item]))
    await asyncio.wait_for(closed.reached.wait(), 20)
    assert await cups.other().runner.run() == 1
    await check(cups, "cup")
    closed.woken.set()
    assert not await asleep
    await check(cups, "cup")
    await cups.check_books()


async def test_a_sleeper_whose_connection_is_gone_writes_nothing(cups: Cups) -> None:
    await play(cups, "cup")
    pause = Pause("after", "INSERT INTO prizes (")
    query = "SELECT pg_backend_pid()"
    pids: list[int] = []

    async def hook(point: str, connection: Any) -> None:
        if pause.is_at(point):
            pids.append(await connection.fetchval(query))
        await pause(point, connection)

    sleeper = asyncio.create_task(cups.other(HookedDatabase(cups.core.database.pool, hook)).runner.run())
    await asyncio.wait_for(pause.reached.wait(), 20)
    other = asyncio.create_task(cups.other().runner.run())
    await cups.fetch("SELECT pg_terminate_backend($1)", pids[0])
    await other
    await check(cups, "cup")
    pause.woken.set()
    with pytest.raises(UnavailableError):
        await sleeper
    await check(cups, "cup")
    await cups.check_books()


async def test_a_leader_that_wakes_after_its_term_takes_no_step(cups: Cups) -> None:
    """It sleeps between two transactions; meanwhile another leads, cancels nothing and settles all."""
    await play(cups, "cup")
    pause = Pause("after", "commit")
    slow = leader(cups, "slow")
    asleep = asyncio.create_task(round_of(cups, slow, HookedDatabase(cups.core.database.pool, pause)))
    await asyncio.wait_for(pause.reached.wait(), 20)
    await cups.fetch("UPDATE leases SET expires_at = clock_timestamp()")
    quick = leader(cups, "quick")
    await eventually_async(lambda: _lead(quick), 10, "the other leads")
    await round_of(cups, quick, cups.core.database)
    await check(cups, "cup")
    pause.woken.set()
    await asleep
    await check(cups, "cup")
    await cups.check_books()


def leader(cups: Cups, holder: str) -> Leader:
    return Leader(cups.core.database, LeaseStore(), holder, life_seconds=60)


async def _lead(candidate: Leader) -> bool:
    await candidate.step()
    return candidate.term is not None


async def round_of(cups: Cups, candidate: Leader, database: Any) -> None:
    """One round of a scheduler that leads."""
    core = cups.core
    settler = TournamentSettler(
        database, core.ledger, core.tournaments, core.rankings, core.prizes, core.outbox, fence=candidate.fence
    )
    runner = TournamentRunner(
        database, core.ledger, core.catalog, core.tournaments, settler,
        core.new_cutter(database, candidate.fence), core.outbox, core.registry, core.changes,
        fence=candidate.fence,
    )  # fmt: skip
    await candidate.step()
    await candidate.while_leading(runner.run)()


async def test_a_stream_out_of_reach_holds_up_settling_alone(cups: Cups) -> None:
    """On a cluster one shard of several may be away for long; what begins and ends goes by the time."""
    await play(cups, "cup")
    depth = cups.core.streams.depth

    async def is_away(*_: object) -> Any:
        raise UnavailableError("One of them is away.")

    cups.core.streams.depth = is_away  # type: ignore[method-assign]
    await cups.runner.run()
    rows = await cups.fetch("SELECT status FROM occurrences WHERE tournament_id = 'cup' ORDER BY occurrence")
    assert [row[0] for row in rows] == ["ended", "scheduled"]
    cups.core.streams.depth = depth  # type: ignore[method-assign]
    await cups.runner.run()
    await check(cups, "cup")
