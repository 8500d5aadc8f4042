"""Soak: bursts of traffic with a fault in each, and an audit of everything after it."""

import argparse
import asyncio
import json
import random
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console

from soak.endurance import endure
from soak.faults import FAULTS
from soak.filling import NoRoomError
from soak.growth import FLOOR, Growth, GrowthPlan, measure_growth
from soak.report import as_json, show, summarize
from soak.run import RunResult
from soak.session import Order, Outcome, run_all
from soak.tree import LAYOUTS

_STOPPED = 130
_GROWTH_SECONDS_MAX = 3 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; return the exit code: 0, or 1 when there are findings."""
    options = _parse(arguments)
    if options.growth:
        return _grow(options)
    order = Order(
        seed=options.seed,
        runs=options.runs,
        first=options.first,
        kinds=options.faults,
        layout=options.layout,
        events_per_second=options.rate,
        planted=options.planted,
        keep_going=not options.stop_at_finding,
    )
    print(f"seed {order.seed}, {order.runs} runs from {order.first} on", flush=True)
    vitals: dict[str, Any] = {}
    try:
        if options.minutes is None:
            outcome = asyncio.run(run_all(order, lambda result: _say(order, options, result)))
        else:
            endured = asyncio.run(endure(order, options.minutes, lambda result: _say(order, options, result)))
            outcome, vitals = Outcome(endured.results, endured.kept), endured.vitals
    except KeyboardInterrupt:
        return _STOPPED
    show(outcome.results, Console(width=None if sys.stdout.isatty() else 200))
    for name in ("load", "slopes_mb_per_hour", "memory_mb", "growth", "lag_seconds", "trouble"):
        if name in vitals:
            print(f"{name.replace('_', ' ')}: {vitals[name]}")
    for folder in outcome.kept:
        print(f"kept for a look: {folder}")
    if options.json is not None:
        _write_json(options.json, order, outcome, vitals)
    return 1 if outcome.has_findings or vitals.get("trouble") else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="what is chosen [default: any]")
    parser.add_argument("--runs", type=int, default=len(FAULTS), help="how many [default: one of each fault]")
    parser.add_argument("--first", type=int, default=0, help="number of the first run, to do a late one again")
    parser.add_argument("--faults", type=_kinds, default=tuple(FAULTS), help=f"comma-separated: {', '.join(FAULTS)}")
    parser.add_argument("--layout", choices=LAYOUTS, help="all runs in this one, with the faults that it can have")
    parser.add_argument("--minutes", type=float, help="a steady load for so long, with a fault each minute, instead")
    parser.add_argument(
        "--rate", type=float, help="events a second [default: 400, and in a long soak half of what the tree takes]"
    )
    parser.add_argument("--planted", type=Path, help="Python file that patches a bug into every process of the tree")
    parser.add_argument("--stop-at-finding", action="store_true", help="do no more runs after a finding")
    parser.add_argument("--json", type=Path, help="write the report there, too")
    parser.add_argument("--growth", action="store_true", help="measure what stored events cost ingest, instead")
    parser.add_argument(
        "--events", type=_sizes, default=GrowthPlan.sizes, help="of --growth: stored events of each set, by commas"
    )
    parser.add_argument(
        "--cycle-events", type=int, default=GrowthPlan.cycle_events, help="of --growth: what each set takes"
    )
    parser.add_argument("--months", type=int, default=GrowthPlan.months, help="of --growth: months that have them")
    parser.add_argument("--players", type=int, default=GrowthPlan.players, help="of --growth: who has them")
    parser.add_argument("--partition-every", choices=("month", "day"), default="month", help="of --growth")
    options = parser.parse_args(arguments)
    if options.layout is not None:
        options.faults = tuple(kind for kind in options.faults if FAULTS[kind].can_be_in(options.layout))
        if not options.faults:
            parser.error(f"none of these faults can be in {options.layout}")
    return options


def _grow(options: argparse.Namespace) -> int:
    plan = GrowthPlan(options.events, options.months, options.partition_every, options.cycle_events, options.players)
    try:
        growth = asyncio.run(_measure_growth(plan))
    except NoRoomError as error:
        print(error)
        return 1
    except TimeoutError:
        print(f"not done within {_GROWTH_SECONDS_MAX / 3600:.0f} hours")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _STOPPED
    print(f"loaded in {growth.load_seconds:.0f} s: {plan.months} months, a partition a {plan.every}")
    for version, cycles in growth.cycles.items():
        for size in cycles:
            if size:
                floor = f" (at least {FLOOR})" if version == 7 else ""
                left = f"{growth.ratio(version, size):.2f} of the rate into none"
                by_cpu = f"{growth.cpu_ratio(version, size):.2f} by CPU time"
                print(f"UUIDv{version} into {size:,} stored events: {left}, {by_cpu}{floor}")
    if not growth.is_quiet:
        print(f"other programs kept {growth.others_cores:.1f} cores busy: judged by CPU time instead of the rate")
    if options.json is not None:
        options.json.write_text(json.dumps({"plan": asdict(plan), "growth": growth.as_json()}, indent=1) + "\n")
    return 0 if growth.is_met else 1


async def _measure_growth(plan: GrowthPlan) -> Growth:
    # Whoever ends it this way wants the gigabytes back, too.
    measuring = asyncio.ensure_future(measure_growth(plan, lambda line: print(line, flush=True)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, measuring.cancel)
    async with asyncio.timeout(_GROWTH_SECONDS_MAX):
        return await measuring


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(text.split(","))
    unknown = [kind for kind in kinds if kind not in FAULTS]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such fault: {', '.join(unknown)}")
    return kinds


def _say(order: Order, options: argparse.Namespace, result: RunResult) -> None:
    healed = "not healed" if result.heal_seconds is None else f"healed in {result.heal_seconds:.2f} s"
    # Before the first run and after the last there is no fault.
    healed = healed if result.number >= 0 else "no fault"
    healed += f", {result.excused} went with the stream" if result.excused else ""
    verdict = f"{sum(result.findings.counts.values())} findings" if result.findings else "clean"
    print(
        f"run {result.number:>3} {result.fault:<18} {result.acknowledged:>5} events acknowledged, "
        f"{result.failures:>3} of {result.replies} requests failed, {healed}, {result.seconds:.1f} s: {verdict}",
        flush=True,
    )
    for finding in result.findings.first:
        print(f"    {finding.kind}: {finding.detail}")
    if result.findings and result.number >= 0:
        faults = "" if tuple(order.kinds) == tuple(FAULTS) else f" --faults {','.join(order.kinds)}"
        faults += f" --layout {order.layout}" if order.layout else ""
        faults += f" --rate {options.rate:g}" if options.rate else ""
        planted = f" --planted {order.planted}" if order.planted else ""
        print(f"    again: python -m soak --seed {order.seed} --first {result.number} --runs 1{faults}{planted}")


def _write_json(path: Path, order: Order, outcome: Outcome, vitals: dict[str, Any]) -> None:
    report = {
        "seed": order.seed,
        "runs": order.runs,
        "first": order.first,
        "table": summarize(outcome.results),
        "each": [as_json(result) for result in outcome.results],
        "kept": [str(folder) for folder in outcome.kept],
        "vitals": vitals,
    }
    path.write_text(json.dumps(report, indent=1) + "\n")
