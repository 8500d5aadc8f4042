"""One run: a burst of traffic with a fault in its middle, healing, and the audit."""

import asyncio
import itertools
import random
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from soak.auditor import Auditor
from soak.boards import BOARDS
from soak.capacity import measure
from soak.client import Client
from soak.cup_audit import CupKeeper
from soak.faults import Fault, Strike
from soak.findings import Findings
from soak.happenings import Event
from soak.inspection import Inspector
from soak.judge import Judge, Request
from soak.outlaws import Outlaws
from soak.traffic import Traffic
from soak.tree import Tree
from soak.verification import verify
from soak.workload import OUTLAWS, REMEMBERED, Workload, Write

HEAL_BOUND_SECONDS = 60.0
BEFORE_SECONDS = (0.4, 1.4)
AFTER_SECONDS = 0.5
_CUP_SHARE = 0.6
_FINISH_SECONDS = 150.0
"""Longest wait for the last tournaments: the lease of a dead scheduler and a busy machine are in it."""

_LATE_SECONDS = 120.0
"""How much longer than it may take the last events are waited for, to tell what is late from what is lost."""

_POLL_SECONDS = 0.05


@dataclass
class RunResult:
    """What came of one run. `heal_seconds` of None: it did not heal."""

    number: int
    fault: str
    acknowledged: int = 0
    replies: int = 0
    failures: int = 0
    excused: int = 0
    """Events that went with a stream that the fault removed."""
    heal_seconds: float | None = None
    seconds: float = 0.0
    traffic_seconds: float = 0.0
    findings: Findings = field(default_factory=Findings)


class Deployment:
    """A tree with everything that watches it; runs follow each other on it."""

    def __init__(self, tree: Tree, client: Client) -> None:
        self.tree = tree
        self.client = client
        self.inspector = Inspector(*tree.engine_urls, tree.streams)
        self.auditor = Auditor(client, self.inspector)
        self.auditor.model.outlaws = Outlaws.of(OUTLAWS)
        self.cups = CupKeeper(client, self.inspector, self.auditor.cups)
        self._sent: deque[Event] = deque(maxlen=REMEMBERED)

    async def prepare(self) -> None:
        """Create the boards."""
        for board in BOARDS[1:]:
            reply = await self.client.ask("PUT", f"/api/leaderboards/{board.key}", board.definition())
            if reply.status != 201:
                raise RuntimeError(f"The board {board.key} could not be created: {reply}")

    async def run(
        self,
        seed: int,
        number: int,
        fault: Fault,
        events_per_second: float,
        *,
        calm_seconds: float = 0.0,
        batch_scale: int = 1,
    ) -> RunResult:
        """Run once. Everything that is chosen follows from `seed`, `number` and the kind of fault.

        `calm_seconds` is how much longer than usual the traffic runs before the fault, `batch_scale` by how much
        batches are larger.
        """
        began_at = time.monotonic()
        dice = random.Random(f"{seed}:{number}:{fault.kind}")
        result = RunResult(number, fault.kind)
        excused = set(self.auditor.excused)
        cup = None
        if dice.random() < _CUP_SHARE:
            cup = await self.cups.create(f"cup-{seed}-{number}", dice, result.findings)
        workload = Workload(
            f"{seed}:{number}",
            lambda: datetime.now(UTC),
            cup.cup_id if cup is not None else None,
            self._sent,
            None if fault.moves_clock else self.auditor.model.outlaws,
            batch_scale,
        )
        self.auditor.resets += [workload.resets]
        judge = Judge(self.auditor.model, self.auditor.weather, result.findings, self.auditor.open, dice)
        traffic = Traffic(self.client, judge, events_per_second)
        sending = asyncio.create_task(traffic.run(self._requests(workload)))
        sending_since = time.monotonic()
        try:
            await asyncio.sleep(calm_seconds + dice.uniform(*BEFORE_SECONDS))
            await self._strike(fault, dice, workload, judge, result)
            await asyncio.sleep(AFTER_SECONDS)
        finally:
            traffic.stop()
            await sending
        result.traffic_seconds = time.monotonic() - sending_since
        # On a busy machine a run ends before every claim had its turn; those that were sent have a reply.
        self.cups.races = [claim for claim in self.cups.races if not claim.replies]
        result.replies, result.failures = judge.replies, judge.failures
        result.acknowledged = sum(
            event.is_acknowledged and event_id not in excused for event_id, event in self.auditor.open.items()
        )
        await self.audit(result.findings, dice)
        result.excused = len(self.auditor.excused - excused)
        result.seconds = time.monotonic() - began_at
        return result

    async def measure_capacity(self, seed: int, number: int, batch_scale: int, findings: Findings) -> float:
        """Return how many events a second the tree takes of the traffic of runs; their outcome is audited, too."""
        workload = Workload(f"{seed}:capacity:{number}", lambda: datetime.now(UTC), None, self._sent, None, batch_scale)
        judge = Judge(self.auditor.model, self.auditor.weather, findings, self.auditor.open)
        rate = await measure(self.client, self.inspector, workload, judge)
        await self.audit(findings, random.Random(number))
        return rate

    def _requests(self, workload: Workload) -> Iterator[Request]:
        """Mix the claims that wait into the workload; those that it ends before wait again."""
        races = self.cups.races
        endless = workload.requests()
        for claim in races:
            yield claim
            if len(races) < 100:
                yield from itertools.islice(endless, 2)
        yield from endless

    async def _strike(
        self, fault: Fault, dice: random.Random, workload: Workload, judge: Judge, result: RunResult
    ) -> None:
        weather = self.auditor.weather
        strike = Strike(self.tree, self.inspector, dice)
        if fault.moves_clock:
            self.cups.blur()
            self.auditor.model.blur(datetime.now(UTC))
        weather.begin()
        await fault.action(strike)
        self.auditor.excuse(strike.gone)
        if strike.failure:
            result.findings.add("not_healed", f"{fault.kind}: {strike.failure}")
        over_at = strike.over_at or time.monotonic()
        since = time.time() - (time.monotonic() - over_at)
        deadline = time.monotonic() + HEAL_BOUND_SECONDS
        while time.monotonic() < deadline:
            if await self._is_well(workload, judge, since):
                result.heal_seconds = time.monotonic() - over_at
                weather.end()
                return
            await asyncio.sleep(_POLL_SECONDS)
        result.findings.add("not_healed", f"{fault.kind}: not well {HEAL_BOUND_SECONDS:.0f} s after its end")

    async def _is_well(self, workload: Workload, judge: Judge, since: float) -> bool:
        """Whether a write and a read succeed, and everything acknowledged before `since` is processed."""
        event = workload.event()
        probe = Write([event], [event.as_json()])
        judge.about_to_send(probe)
        reply = await self.client.ask("POST", "/api/events", probe.body)
        judge.replied(probe, reply)
        if reply.status != 202:
            return False
        # Pages come from memory and ranks from Valkey; events and prizes of somebody new need each pool of PostgreSQL.
        nobody = f"nobody-{time.monotonic_ns()}"
        for path in ("/api/leaderboards/global", f"/api/events?user_id={nobody}", f"/api/prizes?user_id={nobody}"):
            if (await self.client.ask("GET", path)).status != 200:
                return False
        oldest = await self.inspector.oldest_waiting_at()
        return oldest is None or oldest > since

    async def audit(self, findings: Findings, dice: random.Random) -> None:
        """Wait until nothing is under way, and compare everything."""
        for _ in range(3):
            if not await self.inspector.is_drained():
                blocks, events = await self.inspector.waiting()
                findings.add("not_healed", f"{blocks} blocks, by the counter {events} events, not processed in time")
                # Slow is not lost: what comes late is compared as all else is.
                await self.inspector.is_drained(_LATE_SECONDS)
            fresh = Findings()
            await self.auditor.audit(fresh, dice)
            await self.cups.follow(fresh)
            ((count,),) = await self.inspector.fetch("count_events")
            if not fresh or count == self.auditor.stored:
                break
            # A request that nobody waits for any more came in during the audit.
        for finding in fresh.first:
            findings.add(finding.kind, finding.detail)

    async def finish(self, seed: int) -> RunResult:
        """Follow every tournament to its last claim, in calm weather."""
        result = RunResult(-1, "finish")
        await self.cups.finish(_FINISH_SECONDS, result.findings)
        if result.findings:
            return result
        judge = Judge(self.auditor.model, self.auditor.weather, result.findings, self.auditor.open)
        traffic = Traffic(self.client, judge, 1000.0)
        await traffic.run(iter(self.cups.races))
        self.cups.races = []
        await self.audit(result.findings, random.Random(seed))
        await verify(self.tree.data_dir, self.auditor.stored, result.findings)
        if self.cups.unfinished:
            names = [cup.cup_id for cup in self.cups.unfinished]
            result.findings.add("wrong_prize", f"never settled or claimed: {names}")
        return result
