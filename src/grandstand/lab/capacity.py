"""The highest load that can go on: steps up by doubling, then bisects. Steps that are done are kept in a file.

A load that does not hold is tried a second time before that is believed: other programs and checkpoints come and go.
"""

import math
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from grandstand import __version__
from grandstand.lab.errors import LabError
from grandstand.lab.limiting import ASSUMPTIONS, limiting, projection
from grandstand.lab.report import machine_now
from grandstand.lab.verdict import Verdict, word_for
from grandstand.lab.vitals import GENERATOR

TABLE = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
PRECISION = 1.1
"""How far apart the highest load that holds and the lowest that does not may stay."""

TRIES = 2
_LEFT_OUT = ("each_second", "samples")


class Step(msgspec.Struct):
    """One load that was tried. `report` is that of the run without its seconds."""

    daily_players: int
    is_sustained: bool
    took_seconds: float
    report: dict[str, Any]


class Kept(msgspec.Struct):
    """The file of steps: with other settings they mean something else."""

    settings: dict[str, Any]
    steps: list[Step]


def next_load(steps: list[Step], first: int) -> int | None:
    """Return the daily players to try next; None when the capacity is known."""
    held, failed = highest_held(steps), lowest_failed(steps)
    if steps and not steps[-1].is_sustained and failed is None:
        return steps[-1].daily_players
    if failed is None:
        return held * 2 if held else first
    if not held:
        return None if failed <= TABLE[0] else max(TABLE[0], failed // 10)
    if failed > held * PRECISION:
        return _rounded(math.sqrt(held * failed))
    # The rows of the table are measured themselves where they are within reach.
    tried = {step.daily_players for step in steps}
    return next((players for players in TABLE if players < held and players not in tried), None)


def highest_held(steps: list[Step]) -> int:
    """Return the highest load that held and below which none failed for good; 0 when none did."""
    failed = lowest_failed(steps) or math.inf
    return max((step.daily_players for step in steps if step.is_sustained and step.daily_players < failed), default=0)


def lowest_failed(steps: list[Step]) -> int | None:
    """Return the lowest load that failed as often as it may; None when there is none."""
    fails: dict[int, int] = {}
    held = {step.daily_players for step in steps if step.is_sustained}
    for step in steps:
        if not step.is_sustained and step.daily_players not in held:
            fails[step.daily_players] = fails.get(step.daily_players, 0) + 1
    return min((players for players, count in fails.items() if count >= TRIES), default=None)


async def search(
    attempt: Callable[[int], Awaitable[tuple[dict[str, Any], bool]]], kept: Kept, path: Path | None, first: int,
    seconds_max: float,
) -> bool:  # fmt: skip
    """Try loads until the capacity is known, or another step would take longer than there is time.

    Return whether it is known.

    Raises:
        LabError: a step could not be made or finished; those before it are in `kept`.
    """
    began_at = time.monotonic()
    while (players := next_load(kept.steps, first)) is not None:
        expected = kept.steps[-1].took_seconds if kept.steps else 0.0
        if kept.steps and time.monotonic() - began_at + expected > seconds_max:
            return False
        step_at = time.monotonic()
        try:
            report, is_sustained = await attempt(players)
        except LabError as error:
            raise LabError(f"The step of {players:,} daily players was not finished: {error}") from error
        small = {name: value for name, value in report.items() if name not in _LEFT_OUT}
        kept.steps.append(Step(players, is_sustained, round(time.monotonic() - step_at, 1), small))
        if path is not None:
            _keep(kept, path)
    return True


def _keep(kept: Kept, path: Path) -> None:
    # As a whole: who is stopped while writing must not lose the steps before.
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(kept)))
    fresh.replace(path)


def kept_steps(path: Path | None, settings: dict[str, Any]) -> Kept:
    """Return the steps that are done.

    Raises:
        LabError: the file is of other settings, or no file of steps.
    """
    if path is None or not path.exists():
        return Kept(settings, [])
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LabError(f"{path} is no file of steps: {error}.") from None
    if kept.settings != settings:
        raise LabError(f"The steps in {path} were made with other settings: {kept.settings}. Name another file.")
    return kept


def summary(steps: list[Step], is_known: bool, failure: str | None = None) -> dict[str, Any]:
    """Return the report of a search; `failure` says which step ended it, and why."""
    held, failed = highest_held(steps), lowest_failed(steps)
    best = next((step for step in reversed(steps) if step.is_sustained and step.daily_players == held), None)
    worst = next((step for step in reversed(steps) if step.daily_players == failed), steps[-1] if steps else None)
    limit = limiting(worst.report) if worst is not None and not worst.is_sustained else None
    is_lower_bound = failed is None or (limit is not None and limit["resource"] == GENERATOR)
    return {
        "capacity_daily_players": held,
        "fails_at_daily_players": failed,
        "is_known": is_known,
        "failure": failure,
        "is_lower_bound": is_lower_bound,
        "events_per_second": best.report["events_per_second"] if best is not None else 0.0,
        "reads_per_second": best.report["reads_per_second"] if best is not None else 0.0,
        "limit": limit,
        "table": [_row(players, held, math.inf if is_lower_bound else failed or math.inf, steps) for players in TABLE],
        "projection": {
            "of": [projection(best.report, players) for players in TABLE if players > held] if best is not None else [],
            "assumptions": list(ASSUMPTIONS),
        },
        "wrong": sum(step.report["wrong"] for step in steps),
        "lost": sum(step.report["lost"] for step in steps),
        "doubled": sum(step.report["doubled"] for step in steps),
        "steps": msgspec.to_builtins(steps),
        "machine": machine_now(),
        "version": __version__,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _row(players: int, held: int, failed: float, steps: list[Step]) -> dict[str, Any]:
    run = next((step for step in reversed(steps) if step.daily_players == players), None)
    share = players / held if held else math.inf
    # A search that ended early, or at the generator's end, leaves a gap of which nothing is known.
    is_unknown = failed > held * PRECISION and held < players < failed
    verdict: Verdict = "Not measured" if is_unknown else word_for(share)
    figures = ("accept_p99_ms", "visible_p99_ms", "read_p99_ms")
    return {
        "daily_players": players,
        "share_of_capacity": round(share, 4) if held else None,
        "verdict": verdict,
        "is_measured": run is not None,
        **{name: run.report[name] if run is not None else None for name in figures},
    }


def _rounded(players: float) -> int:
    step = 10 ** max(0, int(math.log10(players)) - 2)
    return int(round(players / step) * step)
