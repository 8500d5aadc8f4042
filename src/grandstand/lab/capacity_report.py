"""The page of a search for the capacity."""

from typing import Any

from grandstand.lab.charts import line_chart
from grandstand.lab.report import page


def render(report: dict[str, Any]) -> str:
    """Return the page."""
    held = sorted((step for step in report["steps"] if step["is_sustained"]), key=lambda step: step["daily_players"])
    rows = [
        {"players": step["daily_players"] / 1000, **step["report"], **step["report"]["server"]["cores"]}
        for step in held
    ]
    kinds = sorted({name for step in held for name in step["report"]["server"]["cores"]})
    x_title = "thousand daily players"
    charts = {
        "p99 in ms, of the loads that held": line_chart(
            rows, "players", "accept_p99_ms", "read_p99_ms", "visible_p99_ms", x_title=x_title
        ),
        "Cores by kind of process": line_chart(rows, "players", *kinds, x_title=x_title),
    }
    return page("capacity.html", report=report, charts=charts)
