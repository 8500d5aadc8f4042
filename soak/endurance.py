"""The long soak: a steady load with a fault now and then, and a watch on memory, connections and lag."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from soak.faults import FAULTS
from soak.run import Deployment, RunResult
from soak.session import Order, deployed, plan
from soak.vitals import Vitals, report

CALM_SECONDS = 60.0
"""How long the steady load runs before each fault."""

BATCH_SCALE = 5
"""Batches are of 5 to 20 events, as of clients that gather them."""

LOAD = 0.5
"""The share of its capacity that a tree is to bear for so long."""

_CAPACITY_ROUNDS = 3

GENTLE = tuple(
    kind
    for kind, fault in FAULTS.items()
    if fault.layout in (None, "embedded")
    and kind.startswith(("pause-", "cut-http", "mute-http", "delay-http", "flicker-http", "lose-index", "calm"))
)
"""Faults that leave every process alive, and every event: only of a process that lives long does its memory tell
anything, and a lost stream would make the rest of the hour the story of that loss."""


@dataclass
class Load:
    """Events a second: what the tree takes at most of this traffic, what was asked for, and what was sent.

    The auditor may allow for less than what was asked for: it judges every reply on the same machine.
    """

    capacity: float
    ordered: float
    acknowledged: int = 0
    seconds: float = 0.0
    """In which traffic ran: the others are for audits."""

    def take(self, result: RunResult) -> None:
        """Take in a run."""
        self.acknowledged += result.acknowledged
        self.seconds += result.traffic_seconds

    def as_json(self) -> dict[str, float]:
        """Return it in figures to show."""
        achieved = self.acknowledged / self.seconds if self.seconds else 0.0
        return {
            "capacity_per_second": round(self.capacity),
            "ordered_per_second": round(self.ordered),
            "achieved_per_second": round(achieved),
            "share_of_capacity": round(achieved / self.capacity, 2),
            "acknowledged": self.acknowledged,
            "traffic_seconds": round(self.seconds),
        }


@dataclass
class Endurance:
    """What came of it."""

    results: list[RunResult] = field(default_factory=list)
    vitals: dict[str, Any] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)


async def endure(order: Order, minutes: float, say: Callable[[RunResult], None]) -> Endurance:
    """Load one tree for so long; each run is a minute of calm and then a fault. A finding ends it.

    Where no rate is asked for it is half the capacity, which is measured first. Where all kinds of faults are asked
    for, it is the gentle ones.
    """
    outcome = Endurance()
    kinds = GENTLE if order.kinds == tuple(FAULTS) else order.kinds
    calm_seconds = min(CALM_SECONDS, minutes * 60 / 4)
    async with deployed("embedded", order.planted) as deployment:
        load = await _measure(deployment, order, outcome, say)
        until = time.monotonic() + minutes * 60
        vitals = Vitals(deployment.tree, deployment.inspector)
        watching = asyncio.create_task(vitals.watch())
        try:
            faults = plan(replace(order, kinds=kinds, runs=max(1, int(minutes * 60 / calm_seconds) + 1)))
            for number, fault in faults:
                if outcome.results[-1].findings or time.monotonic() > until:
                    break
                result = await deployment.run(
                    order.seed, number, fault, load.ordered, calm_seconds=calm_seconds, batch_scale=BATCH_SCALE
                )
                outcome.results.append(result)
                load.take(result)
                say(result)
        finally:
            watching.cancel()
        if not outcome.results[-1].findings:
            result = await deployment.finish(order.seed)
            if result.findings:
                outcome.results.append(result)
                say(result)
        if any(each.findings for each in outcome.results):
            deployment.tree.keep = True
            outcome.kept.append(deployment.tree.folder)
    outcome.vitals = {"load": load.as_json(), **report(vitals.samples)}
    return outcome


async def _measure(deployment: Deployment, order: Order, outcome: Endurance, say: Callable[[RunResult], None]) -> Load:
    """Measure the capacity: the best of some rounds, as what else runs on a machine only ever takes from it."""
    result = RunResult(-1, "capacity")
    began_at = time.monotonic()
    capacity = 0.0
    for number in range(_CAPACITY_ROUNDS):
        rate = await deployment.measure_capacity(order.seed, number, BATCH_SCALE, result.findings)
        capacity = max(capacity, rate)
    result.seconds = time.monotonic() - began_at
    outcome.results.append(result)
    say(result)
    return Load(capacity, order.events_per_second or LOAD * capacity)
