"""Charts of a report, as SVG inside the page."""

import re
import sys
from typing import Any

import markupsafe
import pygal
from pygal.style import Style

# pygal puts a finder of an old kind in the way of all imports, for maps that are not used here: Python warns of it.
sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, pygal.PluginImportFixer)]

_COMMENT = re.compile("<!--.*?-->", re.DOTALL)
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#5b6472",
    foreground_strong="#5b6472",
    foreground_subtle="#d5d9e0",
    colors=("#3b6fe0", "#d9802e", "#2e9e6b", "#a35bd1", "#c9424f", "#3aa6b9", "#8a7b2e", "#7d8694"),
    font_family="system-ui, sans-serif",
    stroke_width="2",
)


def line_chart(
    rows: list[dict[str, Any]], at: str, *names: str, x_title: str = "seconds", labels: list[str] | None = None
) -> markupsafe.Markup:
    """Return a chart of some numbers over `at`: seconds of a run, or places that have `labels`."""
    chart = pygal.XY(
        style=_STYLE, width=820, height=260, show_dots=False, js=(), no_prefix=True, disable_xml_declaration=True,
        legend_at_bottom=True, show_legend=len(names) > 1, x_title=x_title, no_data_text="Nothing",
    )  # fmt: skip
    if labels is not None:
        chart.show_dots = True
        chart.x_labels = [{"value": place, "label": label} for place, label in enumerate(labels)]
    for name in names:
        points = [(row[at], row[name]) for row in rows if row.get(name) is not None]
        chart.add(name.replace("_", " "), points)
    # It signs its charts in comments.
    picture = _COMMENT.sub("", chart.render(is_unicode=True))
    # pygal escapes what it is given, and what it is given here are numbers and our own names.
    return markupsafe.Markup(picture)  # noqa: S704
