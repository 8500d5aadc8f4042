"""The table of a soak, as text and as JSON."""

import statistics
from collections import defaultdict
from typing import Any

from rich.console import Console
from rich.table import Table

from soak.findings import KINDS
from soak.run import RunResult


def summarize(results: list[RunResult]) -> list[dict[str, Any]]:
    """Return a row for each kind of fault, and one for all."""
    by_fault: dict[str, list[RunResult]] = defaultdict(list)
    for result in results:
        by_fault[result.fault].append(result)
    rows = [_row(fault, by_fault[fault]) for fault in sorted(by_fault)]
    return [*rows, _row("all", results)]


def _row(name: str, results: list[RunResult]) -> dict[str, Any]:
    healed = [result.heal_seconds for result in results if result.heal_seconds is not None]
    return {
        "fault": name,
        "runs": len(results),
        "acknowledged": sum(result.acknowledged for result in results),
        "requests": sum(result.replies for result in results),
        "without_reply_or_503": sum(result.failures for result in results),
        **{kind: sum(result.findings.counts[kind] for result in results) for kind in KINDS},
        "heal_seconds_median": round(statistics.median(healed), 2) if healed else None,
        "heal_seconds_worst": round(max(healed), 2) if healed else None,
    }


def show(results: list[RunResult], console: Console) -> None:
    """Print the table."""
    rows = summarize(results)
    table = Table(title="Faults")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), justify="left" if name == "fault" else "right")
    for row in rows:
        table.add_row(*("-" if value is None else str(value) for value in row.values()))
    console.print(table)


def as_json(result: RunResult) -> dict[str, Any]:
    """Return one run for the JSON report."""
    return {
        "number": result.number,
        "fault": result.fault,
        "acknowledged": result.acknowledged,
        "heal_seconds": result.heal_seconds,
        "seconds": round(result.seconds, 2),
        "findings": [f"{finding.kind}: {finding.detail}" for finding in result.findings.first],
    }
