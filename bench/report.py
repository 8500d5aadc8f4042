"""Shows a run as a table and keeps it as JSON."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.cpu import OTHERS
from bench.measures import Row

RESULTS = Path(__file__).resolve().parent / "results"
_DISTURBED_CORES = 0.2


def row_as_json(row: Row) -> dict[str, Any]:
    """Return a row as it stands in the result file."""
    return {
        "key": row.key,
        "title": row.title,
        "unit": row.unit,
        "product": round(row.product_median, 2),
        "product_rounds": [round(value, 2) for value in row.product],
        "ceiling": None if row.ceiling_median is None else round(row.ceiling_median, 2),
        "ceiling_title": row.ceiling_title or None,
        "ceiling_rounds": [round(value, 2) for value in row.ceiling],
        "ratio": None if row.ratio is None else round(row.ratio, 3),
        "ratio_rounds": [round(value, 3) for value in row.ratios],
        "target": row.target,
        "limit": row.limit,
        "is_met": row.is_met,
        "cpu_cores": row.cpu_cores,
        "cpu_us_each": row.cpu_us_each,
        "next_limit": row.next_limit or None,
        "facts": row.facts,
    }


def write_result(result: dict[str, Any], path: Path) -> None:
    """Write the result file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


def show(rows: list[Row], result: dict[str, Any], console: Console) -> None:
    """Print the table, and below it who used the processor in each row, in all and for each thing done."""
    table = Table(title=_title(result), title_justify="left", caption_justify="left")
    for name in ("measured", "Grandstand", "ceiling", "ratio", "goal", "next limit"):
        table.add_column(name, justify="right" if name in ("Grandstand", "ceiling", "ratio", "goal") else "left")
    for row in rows:
        table.add_row(
            row.title,
            f"{_number(row.product_median)} {row.unit}",
            "" if row.ceiling_median is None else f"{_number(row.ceiling_median)} ({row.ceiling_title})",
            "" if row.ratio is None else f"{row.ratio:.2f}",
            _goal(row),
            row.next_limit,
        )
    console.print(table)
    console.print("CPU by process during each row, in cores (and in µs for each thing done):")
    for row in rows:
        if row.cpu_cores:
            cores = ", ".join(f"{name} {share:.2f}{_each(row, name)}" for name, share in row.cpu_cores.items())
            facts = "".join(f"; {name} {value}" for name, value in row.facts.items())
            console.print(f"  {row.key}: {cores}{facts}", highlight=False, soft_wrap=True)
    disturbed = max((row.cpu_cores.get(OTHERS, 0.0) for row in rows), default=0.0)
    if disturbed > _DISTURBED_CORES:
        console.print(
            f"Other programs kept up to {disturbed:.2f} cores busy: do not trust these figures, measure again."
        )


def _title(result: dict[str, Any]) -> str:
    machine, load = result["machine"], result["load_average"]
    commit = (result["code"]["commit"] or "no commit")[:10] + (" with changes" if result["code"]["has_changes"] else "")
    return (
        f"Grandstand {commit} on {machine['cores']} cores ({machine['processor']}), {result['settings']['plan']} run, "
        f"{result['seconds']:.0f} s; load average {load['before']} before, {load['after']} after"
    )


def _each(row: Row, name: str) -> str:
    return f" ({row.cpu_us_each[name]:.1f})" if name in row.cpu_us_each else ""


def _goal(row: Row) -> str:
    if row.is_met is None:
        return ""
    goal = f"≥ {row.target:.2f}" if row.target is not None else f"< {row.limit:,.0f} {row.unit}"
    return f"[green]{goal} met[/]" if row.is_met else f"[red]{goal} missed[/]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
