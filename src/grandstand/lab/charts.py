"""Charts of a report, as SVG inside the page."""

import re
from typing import Any

import markupsafe
import pygal
from pygal.style import Style

_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#5b6472",
    foreground_strong="#5b6472",
    foreground_subtle="#d5d9e0",
    colors=("#3b6fe0", "#d9802e", "#2e9e6b"),
    font_family="system-ui, sans-serif",
    stroke_width="2",
)


def line_chart(rows: list[dict[str, Any]], at: str, *names: str) -> markupsafe.Markup:
    """Return a chart of some numbers over the seconds of a run."""
    chart = pygal.XY(
        style=_STYLE, width=820, height=260, show_dots=False, js=(), no_prefix=True, disable_xml_declaration=True,
        legend_at_bottom=True, show_legend=len(names) > 1, x_title="seconds", no_data_text="Nothing",
    )  # fmt: skip
    for name in names:
        points = [(row[at], row[name]) for row in rows if row.get(name) is not None]
        chart.add(name.replace("_", " "), points)
    # It signs its charts in comments.
    picture = _COMMENT.sub("", chart.render(is_unicode=True))
    # pygal escapes what it is given, and what it is given here are numbers and our own names.
    return markupsafe.Markup(picture)  # noqa: S704
