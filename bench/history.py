"""The results that were kept: what the last one of this machine was, what fell since, and a chart over commits.

A machine is its processor, cores and memory: results of other machines stand in the same folder and are left alone.
Only ratios are compared. Each has its ceiling in the same run, so it says the same on a day when everything is slower.
"""

import json
from pathlib import Path
from typing import Any

from grandstand.lab.charts import line_chart
from grandstand.lab.report import page

FALL_MAX = 0.2
"""Share of a ratio that may go from one result to the next: such runs differ by a tenth without any change."""

_SHOWN_COMMIT_CHARACTERS = 8


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Return all results in a folder, the oldest first; files that are none are left out."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text())
        except ValueError:
            continue
        if isinstance(result, dict) and {"measured_at", "machine", "code", "rows", "settings"} <= result.keys():
            found.append(result)
    return sorted(found, key=lambda result: str(result["measured_at"]))


def same_kind(results: list[dict[str, Any]], like: dict[str, Any]) -> list[dict[str, Any]]:
    """Return those of the same machine, plan and number of workers that are not later."""
    return [
        result
        for result in results
        if _kind(result) == _kind(like) and str(result["measured_at"]) <= str(like["measured_at"])
    ]


def falls(result: dict[str, Any], earlier: list[dict[str, Any]], fall_max: float = FALL_MAX) -> list[str]:
    """Return, in words, which ratios are below their floor or fell too far since they were last measured here."""
    found = []
    for row in result["rows"]:
        ratio, floor = row["ratio"], row["target"]
        if row["is_met"] is False:
            found.append(
                f"{row['key']}: {ratio:.2f} is below its floor of {floor:.2f}"
                if floor is not None
                else f"{row['key']}: {row['product']:,.1f} {row['unit']} is not below {row['limit']:,.0f}"
            )
        before = _last_ratio(row["key"], earlier)
        if ratio is not None and before is not None and ratio < before * (1 - fall_max):
            found.append(f"{row['key']}: {ratio:.2f} after {before:.2f}, a fall of more than {fall_max:.0%}")
    return found


def chart_page(results: list[dict[str, Any]]) -> str:
    """Return a page with each row's ratio over the results."""
    labels = [_label(result) for result in results]
    charts = {}
    for key, title in {row["key"]: row["title"] for result in results for row in result["rows"]}.items():
        points = [
            {"place": place, "ratio": row["ratio"], "floor": row["target"]}
            for place, result in enumerate(results)
            for row in result["rows"]
            if row["key"] == key and row["ratio"] is not None
        ]
        if points:
            charts[title] = line_chart(points, "place", "ratio", "floor", x_title="commit", labels=labels)
    return page(
        "history.html", __package__, machine=results[-1]["machine"], results=results, labels=labels, charts=charts
    )


def _last_ratio(key: str, earlier: list[dict[str, Any]]) -> float | None:
    for result in reversed(earlier):
        for row in result["rows"]:
            if row["key"] == key and row["ratio"] is not None:
                return float(row["ratio"])
    return None


def _kind(result: dict[str, Any]) -> tuple[object, ...]:
    machine, settings = result["machine"], result["settings"]
    # A kernel takes a little of the memory, and not always the same.
    memory_gb = round(machine["memory_mb"] / 1024)
    asked = (settings.get(name) for name in ("plan", "workers", "players"))
    return machine["processor"], machine["cores"], memory_gb, *asked


def _label(result: dict[str, Any]) -> str:
    commit = (result["code"]["commit"] or "none")[:_SHOWN_COMMIT_CHARACTERS]
    return f"{commit}{'*' if result['code']['has_changes'] else ''}"
