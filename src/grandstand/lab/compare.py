"""Two reports side by side: what differs, in which direction, and whether that is more than such runs differ anyway.

Noise is what the seconds of the runs tell of it: three standard errors of the difference of their means, and never less
than a twentieth. A count of what must not happen has no noise: one more is worse.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from grandstand.lab.errors import LabError
from grandstand.lab.vitals import GENERATOR

STANDARD_ERRORS = 3.0
NOISE_SHARE_LEAST = 0.05
NOISE_MS_LEAST = 1.0
_SETTLED_SHARE = 0.2

Direction = Literal["better", "worse", "same"]


@dataclass(frozen=True)
class Difference:
    """One figure of both. `noise` is how far they may be apart without meaning anything."""

    name: str
    before: float
    after: float
    noise: float
    direction: Direction

    @property
    def is_beyond_noise(self) -> bool:
        """Whether it means something."""
        return abs(self.after - self.before) > self.noise


@dataclass(frozen=True)
class _Figure:
    name: str
    value: Callable[[dict[str, Any]], float]
    series: Callable[[dict[str, Any]], list[float]]
    is_more_better: bool = False
    noise_least: float = 0.0


def compare(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return what became of each figure.

    Raises:
        LabError: the reports are of different loads, or not of `lab run`.
    """
    try:
        loads = [(each["load"]["daily_players"], each["load"]["profile"]) for each in (before, after)]
        if loads[0] != loads[1]:
            raise LabError(
                f"These are of different loads: {loads[0][0]:,} {loads[0][1]}, {loads[1][0]:,} {loads[1][1]}."
            )
        return [_difference(figure, before, after) for figure in _FIGURES] + [
            _counted(name, before, after) for name in ("errors", "lost", "doubled", "wrong")
        ]
    except (KeyError, TypeError) as error:
        raise LabError(f"This is no report of `lab run`: it lacks {error}.") from None


def is_regress(differences: list[Difference]) -> bool:
    """Return whether anything became worse beyond noise."""
    return any(each.direction == "worse" and each.is_beyond_noise for each in differences)


def _difference(figure: _Figure, before: dict[str, Any], after: dict[str, Any]) -> Difference:
    values = figure.value(before), figure.value(after)
    errors = [_standard_error(figure.series(each)) for each in (before, after)]
    noise = max(
        STANDARD_ERRORS * math.hypot(*errors), NOISE_SHARE_LEAST * abs(values[0]), figure.noise_least
    )  # fmt: skip
    return Difference(figure.name, values[0], values[1], round(noise, 2), _direction(figure.is_more_better, *values))


def _counted(name: str, before: dict[str, Any], after: dict[str, Any]) -> Difference:
    return Difference(name, before[name], after[name], 0.0, _direction(False, before[name], after[name]))


def _direction(is_more_better: bool, before: float, after: float) -> Direction:
    if before == after:
        return "same"
    return "better" if (after > before) == is_more_better else "worse"


def _standard_error(series: list[float]) -> float:
    settled = series[int(len(series) * _SETTLED_SHARE) :]
    return statistics.stdev(settled) / math.sqrt(len(settled)) if len(settled) > 1 else 0.0


def _each_second(name: str) -> Callable[[dict[str, Any]], list[float]]:
    return lambda report: [moment[name] for moment in report["each_second"]]


def _cpu_each(report: dict[str, Any], cores: dict[str, float]) -> float:
    used = sum(share for name, share in cores.items() if name != GENERATOR)
    return float(round(used / max(1.0, report["events_per_second"]) * 1e6, 2))


_FIGURES = (
    _Figure("events_per_second", lambda r: r["events_per_second"], _each_second("events_per_second"), True),
    _Figure("reads_per_second", lambda r: r["reads_per_second"], _each_second("reads_per_second"), True),
    *(
        _Figure(name, lambda r, name=name: r[name], _each_second(name), noise_least=NOISE_MS_LEAST)  # type: ignore[misc]
        for name in ("accept_p99_ms", "visible_p99_ms", "read_p99_ms")
    ),
    _Figure(
        "server_cpu_us_an_event",
        lambda r: _cpu_each(r, r["server"]["cores"]),
        lambda r: [_cpu_each(r, sample["cores"]) for sample in r["samples"]],
    ),
    _Figure("ours_rss_mb", lambda r: r["server"]["ours_rss_mb"], lambda _: []),
)
