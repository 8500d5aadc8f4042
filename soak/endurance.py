"""The long soak: a steady load with a fault now and then, and a watch on memory, connections and lag."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from soak.faults import FAULTS
from soak.run import RunResult
from soak.session import Order, deployed, plan
from soak.vitals import Vitals, report

CALM_SECONDS = 60.0
"""How long the steady load runs before each fault."""

GENTLE = tuple(
    kind
    for kind, fault in FAULTS.items()
    if fault.layout in (None, "embedded")
    and kind.startswith(("pause-", "cut-http", "mute-http", "delay-http", "flicker-http", "lose-index", "calm"))
)
"""Faults that leave every process alive, and every event: only of a process that lives long does its memory tell
anything, and a lost stream would make the rest of the hour the story of that loss."""


@dataclass
class Endurance:
    """What came of it."""

    results: list[RunResult] = field(default_factory=list)
    vitals: dict[str, Any] = field(default_factory=dict)
    kept: list[Path] = field(default_factory=list)


async def endure(order: Order, minutes: float, say: Callable[[RunResult], None]) -> Endurance:
    """Load one tree for so long; each run is a minute of calm and then a fault. A finding ends it.

    Where all kinds of faults are asked for, it is the gentle ones.
    """
    outcome = Endurance()
    kinds = GENTLE if order.kinds == tuple(FAULTS) else order.kinds
    calm_seconds = min(CALM_SECONDS, minutes * 60 / 4)
    until = time.monotonic() + minutes * 60
    async with deployed("embedded", order.planted) as deployment:
        vitals = Vitals(deployment.tree, deployment.inspector)
        watching = asyncio.create_task(vitals.watch())
        try:
            faults = plan(replace(order, kinds=kinds, runs=max(1, int(minutes * 60 / calm_seconds) + 1)))
            for number, fault in faults:
                result = await deployment.run(
                    order.seed, number, fault, order.events_per_second, calm_seconds=calm_seconds
                )
                outcome.results.append(result)
                say(result)
                if result.findings or time.monotonic() > until:
                    break
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
    outcome.vitals = report(vitals.samples)
    return outcome
