"""Many runs: kinds of faults in turn, on trees that are shared until one of them shows a finding."""

import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from soak.client import Client
from soak.faults import FAULTS, Fault
from soak.run import Deployment, RunResult
from soak.tree import LAYOUTS, Layout, Tree

RUNS_A_TREE = 40
_EVENTS_PER_SECOND = 400.0


@dataclass
class Order:
    """What to do."""

    seed: int
    runs: int
    first: int = 0
    kinds: Sequence[str] = tuple(FAULTS)
    events_per_second: float | None = None
    """Without it the short runs have a rate of their own, and a long one half of what the tree takes."""

    planted: Path | None = None
    keep_going: bool = True
    keep_folders: bool = True
    layout: Layout | None = None
    """The one layout of all runs; None: of each fault its own."""


@dataclass
class Outcome:
    """What came of it. `kept` are the folders of trees that showed a finding."""

    results: list[RunResult] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)

    @property
    def has_findings(self) -> bool:
        """Whether anything was found."""
        return any(result.findings for result in self.results)


def plan(order: Order) -> list[tuple[int, Fault]]:
    """Return the number and the fault of each run: every kind equally often, in an order that the seed gives."""
    end = order.first + order.runs
    kinds: list[str] = []
    for cycle in range(math.ceil(end / len(order.kinds))):
        mixed = list(order.kinds)
        random.Random(f"{order.seed}:{cycle}").shuffle(mixed)
        kinds += mixed
    return [(number, FAULTS[kinds[number]]) for number in range(order.first, end)]


@asynccontextmanager
async def deployed(layout: Layout, planted: Path | None = None) -> AsyncIterator[Deployment]:
    """Start a tree with its watchers, and end it at the end; its folder stays when `keep` is set on the tree."""
    tree = Tree(layout, planted=planted)
    try:
        await tree.open()
        async with Client(tree.url, tree.server_key) as client:
            deployment = Deployment(tree, client)
            await deployment.prepare()
            yield deployment
    finally:
        await tree.close()


async def run_all(order: Order, say: Callable[[RunResult], None]) -> Outcome:
    """Do every run of the order; after a finding the rest goes on with a new tree, or not at all."""
    outcome = Outcome()
    waiting = plan(order)
    for layout in LAYOUTS:
        items = [item for item in waiting if (order.layout or item[1].layout or "embedded") == layout]
        done = 0
        while done < len(items):
            done += await _run_some(order, layout, items[done : done + RUNS_A_TREE], outcome, say)
            if outcome.has_findings and not order.keep_going:
                return outcome
    return outcome


async def _run_some(
    order: Order, layout: Layout, items: list[tuple[int, Fault]], outcome: Outcome, say: Callable[[RunResult], None]
) -> int:
    """Do runs on one tree until there is a finding; return how many were done."""
    async with deployed(layout, order.planted) as deployment:
        done = 0
        for number, fault in items:
            done += 1
            rate = order.events_per_second or _EVENTS_PER_SECOND
            result = await deployment.run(order.seed, number, fault, rate)
            outcome.results.append(result)
            say(result)
            if result.findings:
                break
        else:
            result = await deployment.finish(order.seed)
            if result.findings:
                outcome.results.append(result)
                say(result)
        if result.findings and order.keep_folders:
            deployment.tree.keep = True
            outcome.kept.append(deployment.tree.folder)
    return done
