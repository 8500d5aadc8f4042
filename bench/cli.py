"""`make bench`: starts a complete Grandstand in a temporary folder, measures it beside its ceilings, and stops it."""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from bench.history import FALL_MAX, chart_page, falls, read_results, same_kind
from bench.jobs import JobError
from bench.load import UnexpectedAnswersError
from bench.machine import describe_code, describe_machine, load_average
from bench.measures import Row
from bench.plan import PLANS
from bench.report import RESULTS, row_as_json, show, write_result
from bench.rows import (
    generator,
    growth,
    latency,
    limits,
    live,
    poison,
    rank_reads,
    retention,
    scaling,
    settlement,
    single_events,
    stages,
    starting,
    top_reads,
    whole_path,
)
from bench.suite import MeasuredWrongError, Suite, open_suite
from grandstand.lab.own_server import DeploymentError

ROWS: dict[str, Callable[[Suite], Awaitable[list[Row]]]] = {
    "generator": generator.measure,
    "whole-path": whole_path.measure,
    "single-events": single_events.measure,
    "top-reads": top_reads.measure,
    "limits": limits.measure,
    "rank-reads": rank_reads.measure,
    "latency": latency.measure,
    "stages": stages.measure,
    "scaling": scaling.measure,
    "poison": poison.measure,
    "settlement": settlement.measure,
    "growth": growth.measure,
    "retention": retention.measure,
    "live": live.measure,
    "starting": starting.measure,
}
WORKERS = 2
PLAYERS_MIN = 1_000
"""With fewer, most events of a batch would be of the same few."""
_STOPPED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code.

    0, or 1 when something could not be measured or, with --check, a goal is missed or a ratio fell too far since the
    last result of the same machine.
    """
    options = _parse(arguments)
    console = Console(stderr=True)
    try:
        with console.status("") as status:
            rows, result = uvloop.run(_measure(options, status.update))
    except (DeploymentError, JobError, MeasuredWrongError, UnexpectedAnswersError) as error:
        console.print(f"[red]The benchmark could not be finished:[/] {error}", markup=True, highlight=False)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _STOPPED
    earlier = same_kind(read_results(RESULTS), result)
    path = options.output or RESULTS / f"{result['measured_at'].replace(':', '')}.json"
    write_result(result, path)
    show(rows, result, Console(width=None if sys.stdout.isatty() else 160))
    print(f"Written to {path}")
    if options.chart is not None:
        options.chart.write_text(chart_page([*earlier, result]), encoding="utf-8")
        print(f"Chart written to {options.chart}")
    fallen = falls(result, earlier, options.fall_max) if options.check else []
    for each in fallen:
        print(each)
    return 1 if fallen else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, under 40 seconds")
    parser.add_argument("--plan", choices=PLANS, default="full", help="sizes of the run (bench/plan.py)")
    parser.add_argument("--only", choices=ROWS, action="append", help="measure these rows (may be repeated)")
    parser.add_argument("--workers", type=int, default=WORKERS, help="worker processes, and COPY connections")
    parser.add_argument(
        "--players", type=int, metavar="N",
        help="players of the board that is posted to and read [default: the plan's; from 1000]",
    )  # fmt: skip
    parser.add_argument("--output", type=Path, help="result file [default: bench/results/<time>.json]")
    parser.add_argument(
        "--check", action="store_true",
        help="exit with 1 when a goal is missed or a ratio fell too far since the last result of this machine",
    )  # fmt: skip
    parser.add_argument(
        "--fall-max", type=float, default=FALL_MAX, metavar="SHARE",
        help="what --check lets a ratio lose [default: %(default)s, a fifth]",
    )  # fmt: skip
    parser.add_argument("--chart", type=Path, metavar="FILE", help="write a page of this machine's ratios over commits")
    options = parser.parse_args(arguments)
    if options.players is not None and options.players < PLAYERS_MIN:
        parser.error(f"--players must be at least {PLAYERS_MIN}")
    if options.quick:
        options.plan = "quick"
    return options


async def _measure(options: argparse.Namespace, say: Callable[[str], None]) -> tuple[list[Row], dict[str, Any]]:
    task = asyncio.current_task()
    assert task is not None
    # Ctrl-C does the same by itself: everything that was started is ended.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    plan = PLANS[options.plan]
    if options.players is not None:
        plan = replace(plan, players=options.players)
    measured_at = datetime.now(UTC)
    before = load_average()
    began_at = time.monotonic()
    rows: list[Row] = []
    async with AsyncExitStack() as stack:
        suite = await open_suite(stack, plan, options.workers, say)
        for name, measure in ROWS.items():
            if not options.only or name in options.only:
                rows += await measure(suite)
        say("stopping")
    result = {
        "measured_at": measured_at.isoformat(timespec="seconds"),
        "seconds": round(time.monotonic() - began_at, 1),
        "machine": describe_machine(),
        "code": describe_code(),
        "settings": {"plan": options.plan, "workers": options.workers, **asdict(plan)},
        "load_average": {"before": before, "after": load_average()},
        "rows": [row_as_json(row) for row in rows],
    }
    return rows, result
