"""Checks beside a deployment at work: no false alarm, the same sample for the same seed, and a loop that tells."""

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from grandstand import clock
from grandstand.domain.errors import NotFoundError
from grandstand.invariants.check import Look, Scope
from grandstand.invariants.registry import CHECKS
from grandstand.invariants.run import UnknownCheckError, find_checks
from grandstand.storage.event_stream import HIGH
from grandstand.telemetry import metrics
from grandstand.workers.verifier import Verifier
from tests.invariants.busy import BOARDS, USERS, Busy
from tests.support.core import Core, event
from tests.support.invariants import ALL_AT_REST, broken, reports, subject_of
from tests.tournaments.cups import Cups, score

pytestmark = pytest.mark.anyio


class Traffic:
    """Two workers, writers, and somebody who changes boards, until it is told to stop."""

    def __init__(self, core: Core, cups: Cups) -> None:
        self._core = core
        self._cups = cups
        self._stop = asyncio.Event()
        self.batches = 0

    async def __aenter__(self) -> "Traffic":
        self._tasks = [asyncio.ensure_future(work) for work in (self._write(), self._change(), *self._workers())]
        return self

    async def __aexit__(self, *_: Any) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)

    def _workers(self) -> list[Any]:
        return [self._work(f"w{number}") for number in range(2)]

    async def _write(self) -> None:
        while not self._stop.is_set():
            now = clock.now()
            payload = {"score": self.batches % 50, "country": "DE", "mode": "ranked", "level": 1, "assists": 2}
            events = [event(user, at=now, payload=payload) for user in USERS]
            events += [score(user, self.batches, at=now, cup="run") for user in USERS[:4]]
            await self._core.stream.append(events, [], now)
            await asyncio.sleep(0.005)

    async def _work(self, name: str) -> None:
        applier = self._core.new_applier()
        while not self._stop.is_set():
            blocks = await self._core.stream.read(name, HIGH, 3)
            if blocks:
                await applier.apply(blocks)
                await self._core.stream.acknowledge(blocks)
                self.batches += 1
            await asyncio.sleep(0)

    async def _change(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(NotFoundError):  # Nobody may have scored since the last time.
                await self._core.definer.remove_user("sum", USERS[1])
            await self._core.definer.reset("cut")
            await self._core.new_replayer().replay("count", None, dry_run=False)
            await self._cups.ban(USERS[2])
            await self._cups.banner.lift(USERS[2])
            await asyncio.sleep(0.05)


async def test_no_false_alarm_while_everything_moves(core: Core) -> None:
    cups = Cups(core, None)  # type: ignore[arg-type]
    now = clock.now()
    for key, values in BOARDS.items():
        await core.define(key, **values)
    await cups.create("run", starts_at=now, ends_at=now + timedelta(days=300), max_attempts=5)
    await core.stream.create_group()
    # Their first scores, so that there is somebody to remove.
    await core.apply(*(event(user, at=now) for user in USERS), received_at=clock.now())
    scopes = [Scope(sample=None, second_look_seconds=1.0), Scope(sample=5, seed=3, second_look_seconds=1.0)]
    async with Traffic(core, cups) as traffic:
        for round_ in range(4):
            before = traffic.batches
            found = await broken(core, scopes[round_ % 2])
            assert set(found) <= {"partitions_cover"}, found
            while traffic.batches < before + 20:
                await asyncio.sleep(0.01)
    looked = await reports(core, scopes[0])
    assert looked["entries_match_events"].looked_at > 0
    assert looked["rank_index_matches_entries"].looked_at > 0


async def test_what_a_fast_clock_received_before_a_reset_stays_counted(core: Core) -> None:
    """A host's clock ran minutes ahead; by the time of a reset that came soon after, its events look late."""
    now = clock.now()
    await core.define("season", operator="sum")
    await core.apply(event("ann", 5, at=now), received_at=now + timedelta(minutes=5))
    await core.apply(event("bob", 3, at=now), received_at=now)
    assert [(each.user_id, each.score) for each in await core.walk("season")] == [("ann", 5), ("bob", 3)]
    await core.definer.reset("season")

    found = await reports(core, ALL_AT_REST)

    assert "entries_match_events" not in await broken(core, ALL_AT_REST)
    assert found["entries_match_events"].undecided > 0
    # Of what no clock decided, nothing is forgiven.
    await core.database.pool.execute("UPDATE entries SET score = score + 1, total = total + 1 WHERE user_id = 'bob'")
    assert "entries_match_events" in await broken(core, ALL_AT_REST)


async def test_what_comes_late_after_a_reset_must_not_count(core: Core) -> None:
    """Its own fast clock excuses an event only while nobody knew of the reset."""
    now = clock.now()
    await core.define("season", operator="sum")
    await core.apply(event("ann", 5, at=now), received_at=now)
    await core.definer.reset("season")
    await core.refresh()
    late = event("ann", 2, at=now)
    assert (await core.apply(late, received_at=now + timedelta(minutes=5))).unranked["season", "late"] == 1
    assert "entries_match_events" not in await broken(core, ALL_AT_REST)

    await core.database.pool.execute(
        "UPDATE entries SET score = 7, total = 7, event_id = $1 WHERE user_id = 'ann' AND total = 5", late.id
    )

    assert "entries_match_events" in await broken(core, ALL_AT_REST)


async def test_a_seed_decides_the_sample(busy: Busy) -> None:
    """Damage everywhere: what a small sample shows of it depends on the seed, and on nothing else."""
    await busy.execute("UPDATE entries SET score = score + 1")
    shown = []
    for seed in (1, 1, 2, 3, 4, 5):
        scope = Scope(sample=2, seed=seed, second_look_seconds=0, clock_difference_seconds=0)
        report = (await reports(busy.core, scope))["entries_match_events"]
        shown.append(sorted({each.ids["user_id"] for each in report.examples}))
        assert len(shown[-1]) <= 2
    assert shown[0] == shown[1]
    assert len({tuple(each) for each in shown}) > 1


async def test_a_check_that_cannot_run_is_told_apart(busy: Busy) -> None:
    scope = Scope(sample=None, statement_timeout_seconds=0.000_001)
    looked = await reports(busy.core, scope)
    assert looked["events_unique"].status == "failed"
    assert looked["events_unique"].reason
    assert looked["deliveries_owned"].status in ("ok", "skipped")


async def test_examples_are_bounded_and_findings_counted(busy: Busy) -> None:
    await busy.execute("UPDATE entries SET score = score + 1")
    report = (await reports(busy.core))["entries_match_events"]
    assert len(report.examples) == 10 < report.findings


def test_names_and_promises() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all(check.promise.endswith(".") and check.promise.count(". ") == 0 for check in CHECKS)
    assert [check.name for check in find_checks(["events_unique", "durability"])] == ["durability", "events_unique"]
    assert find_checks([]) == CHECKS
    with pytest.raises(UnknownCheckError, match="events_unique"):
        find_checks(["nothing"])


async def test_the_loop_counts_and_tells(busy: Busy) -> None:
    def findings(name: str) -> float:
        return metrics.INVARIANT_FINDINGS.labels(name)._value.get()

    def checked(name: str) -> float:
        return metrics.INVARIANT_CHECKED.labels(name)._value.get()

    verifier = Verifier(subject_of(busy.core), scope=ALL_AT_REST)
    before = checked("prizes_match_standings")
    with capture_logs() as healthy:
        assert await verifier.verify() == 0
    assert not [each for each in healthy if each["event"] == "invariant_broken"]
    assert findings("prizes_match_standings") == 0
    assert checked("prizes_match_standings") > before
    await busy.execute("UPDATE prizes SET amount = amount + 1 WHERE rank = 1")
    with capture_logs() as logs:
        assert await verifier.verify() > 0
    (told,) = [each for each in logs if each["event"] == "invariant_broken"]
    assert (told["check"], told["log_level"]) == ("prizes_match_standings", "error")
    assert findings("prizes_match_standings") == told["findings"]
    assert metrics.INVARIANT_LAST_RUN.labels("durability")._value.get() > 0


async def test_the_loop_draws_another_sample_each_round(busy: Busy) -> None:
    verifier = Verifier(subject_of(busy.core))
    assert verifier._next_scope() != [setattr(verifier, "_round", 9), verifier._next_scope()][1]
    assert await verifier.verify() == 0


async def test_the_loop_leaves_the_engines_to_others_until_the_stop(busy: Busy) -> None:
    stop = asyncio.Event()
    look = Look(subject_of(busy.core), Scope(rest_share=1_000_000, stop=stop))
    async with look.snapshot() as connection:
        assert await connection.fetchval("SHOW max_parallel_workers_per_gather") == "0"
        looking = asyncio.create_task(look.rows(connection, "durability_settings"))
        done, _ = await asyncio.wait([looking], timeout=0.5)
        assert not done, "it rests after a statement"
        stop.set()
        assert await looking


async def test_the_loop_ends_with_the_stop(busy: Busy) -> None:
    stop = asyncio.Event()
    last = metrics.INVARIANT_LAST_RUN.labels(CHECKS[-1].name)._value
    before = last.get()
    verifier = Verifier(subject_of(busy.core), stop=stop)
    stop.set()
    assert await verifier.verify() == 0
    assert last.get() == before
