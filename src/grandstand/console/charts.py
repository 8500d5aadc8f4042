"""Charts as SVG pictures. They are pictures (`<img>`), so nothing in them runs; a table beside each says the same."""

import sys
from base64 import b64encode
from typing import Literal, NamedTuple

import pygal
from pygal.style import Style

from grandstand.api.replies import NO_STORE, Reply

# The library hooks itself into every import of the process to find plug-ins, in a way that Python warns of.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

_SVG = "image/svg+xml"
_ADDRESS = f"data:{_SVG};base64,"
_LOOKS = (
    "inline:@media (prefers-color-scheme: dark) {"
    ".axis text, .no_data { fill: #a9b1bf !important }"
    ".axis .line, .guide { stroke: #333a47 !important } }"
    # On a phone the picture shrinks to less than half: writing is larger, values stand above their lines, labels at the
    # end stay inside, and where there are many only every other one is left.
    "@media (max-width: 480px) {"
    ".axis.y text, .no_data { font-size: 24px !important } .axis.x text { font-size: 22px !important }"
    ".axis.y text { text-anchor: start !important; transform: translate(12px, -8px) }"
    ".axis.x .guides:first-of-type:not(:last-of-type) text { transform: translateX(18px) }"
    ".axis.x .guides:last-of-type:not(:first-of-type) text { text-anchor: end !important; transform: translateX(30px) }"
    ".axis.x .guides:nth-last-of-type(n+6) ~ .guides:nth-of-type(even) text { display: none }"
    ".nofill { stroke-width: 4px } }"
)
_COLORS = ("#3b6fe0", "#d9802e", "#2a9d70", "#b5489a", "#8a8f2a", "#7a63d6", "#8b929e")
SERIES_MAX = len(_COLORS)
"""More lines than this nobody can tell apart."""

Line = tuple[str, list[float | None]]
Kind = Literal["line", "area", "bar"]


class Chart(NamedTuple):
    """What is drawn: a value for each label in each of up to `SERIES_MAX` series. None leaves a gap."""

    title: str
    kind: Kind
    labels: list[str]
    series: list[Line]


def draw_in_page(chart: Chart) -> str:
    """Return the picture of a chart as an address that holds it, so that nobody asks for its numbers again."""
    return _ADDRESS + b64encode(_render(chart)).decode("ascii")


def draw(chart: Chart) -> Reply:
    """Return the picture of a chart."""
    return Reply(200, _render(chart), _SVG, NO_STORE)


def _render(chart: Chart) -> bytes:
    """Draw; about 20 ms of computing for a hundred values. What the lines are called stands beside it, as text."""
    labels, shown = _thin_out(chart.labels)
    picture = (pygal.Bar if chart.kind == "bar" else pygal.Line)(
        style=_style(chart.kind),
        css=["file://style.css", "file://graph.css", _LOOKS],
        width=760,
        height=220,
        margin=6,
        margin_right=24,
        # Room for the label of the topmost line, which stands above it on a phone.
        margin_top=24,
        show_legend=False,
        show_dots=any(_has_point_alone(values) for _, values in chart.series),
        fill=chart.kind == "area",
        js=(),
        no_prefix=True,
        pretty_print=False,
        disable_xml_declaration=True,
        show_minor_x_labels=False,
        x_labels_major=shown,
        truncate_label=24,
        min_scale=3,
        max_scale=5,
        include_x_axis=True,
        range=(0, max([1.0, *(value for _, values in chart.series for value in values if value is not None)])),
        no_data_text="Nothing yet",
    )
    picture.x_labels = labels
    for name, values in chart.series:
        picture.add(name, values)
    svg: str = picture.render()
    return svg.encode()


def _has_point_alone(values: list[float | None]) -> bool:
    """Whether a value has no neighbour that a line could lead to."""
    padded = [None, *values, None]
    return any(
        one is None and value is not None and other is None
        for one, value, other in zip(padded, values, padded[2:], strict=False)
    )


_LABELS_ALL = 10
"""So many labels have room beside each other."""

_LABELS_THINNED = 6
"""So many are left of more."""


def _thin_out(labels: list[str]) -> tuple[list[str], list[str]]:
    """Return labels with those emptied for which there is no room, and those that are left.

    The library tells labels apart by their text alone: of equal ones it would write all or none.
    """
    if len(labels) <= _LABELS_ALL:
        return labels, labels
    last = len(labels) - 1
    places = {last * number // (_LABELS_THINNED - 1) for number in range(_LABELS_THINNED)}
    return [label if place in places else "" for place, label in enumerate(labels)], [
        labels[at] for at in sorted(places)
    ]


def _style(kind: Kind) -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="#5b6472",
        foreground_strong="#5b6472",
        foreground_subtle="#d5d9e0",
        colors=_COLORS,
        font_family="system-ui, sans-serif",
        guide_stroke_color="#d5d9e0",
        major_guide_stroke_color="#d5d9e0",
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        no_data_font_size=15,
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=12,
        opacity=".85" if kind == "bar" else ".15",
        stroke_width="2",
    )
