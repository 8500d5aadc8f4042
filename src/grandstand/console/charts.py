"""Charts as SVG pictures. They are pictures (`<img>`), so nothing in them runs; a table beside each says the same."""

import sys
from collections.abc import Sequence
from datetime import datetime

import pygal
from pygal.style import Style

from grandstand.api.replies import Reply

# The library hooks itself into every import of the process to find plug-ins, in a way that Python warns of.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

_SVG = "image/svg+xml"
_DARK = (
    "inline:@media (prefers-color-scheme: dark) {"
    ".axis text, .no_data { fill: #a9b1bf !important } .axis .line, .guide { stroke: #333a47 !important } }"
)
_STYLE = Style(
    background="transparent",
    plot_background="transparent",
    foreground="#5b6472",
    foreground_strong="#5b6472",
    foreground_subtle="#d5d9e0",
    colors=("#3b6fe0", "#d9802e"),
    font_family="system-ui, sans-serif",
    guide_stroke_color="#d5d9e0",
    major_guide_stroke_color="#d5d9e0",
    guide_stroke_dasharray="none",
    major_guide_stroke_dasharray="none",
    no_data_font_size=15,
    label_font_size=12,
    major_label_font_size=12,
    opacity=".15",
    stroke_width="2",
)


def line_chart(times: Sequence[datetime], values: Sequence[float | None], *, name: str) -> Reply:
    """Return a picture of one number over time."""
    chart = pygal.Line(
        style=_STYLE,
        css=["file://style.css", "file://graph.css", _DARK],
        width=760,
        height=220,
        margin=6,
        show_legend=False,
        show_dots=False,
        fill=True,
        js=(),
        no_prefix=True,
        pretty_print=False,
        disable_xml_declaration=True,
        show_minor_x_labels=False,
        x_labels_major_count=6,
        truncate_label=-1,
        min_scale=3,
        max_scale=5,
        include_x_axis=True,
        range=(0, max([1.0, *(value for value in values if value is not None)])),
        no_data_text="Nothing yet",
    )
    chart.x_labels = [f"{moment:%H:%M:%S}" for moment in times]
    chart.add(name, list(values))
    return Reply(200, chart.render(), _SVG, ((b"cache-control", b"no-store"),))
