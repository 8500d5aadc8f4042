"""Two reports side by side: what differs, in which direction, and whether that is more than such runs differ anyway.

Noise is what the seconds of the runs tell of it: three standard errors of the difference of their means, and never less
than a twentieth. A count of what must not happen has no noise: one more is worse.
"""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from grandstand.lab.errors import LabError
from grandstand.lab.vitals import GENERATOR

STANDARD_ERRORS = 3.0
NOISE_SHARE_LEAST = 0.05
NOISE_MS_LEAST = 1.0
_SETTLED_SHARE = 0.2

Direction = Literal["better", "worse", "same"]


class _Load(msgspec.Struct):
    daily_players: int
    profile: str


class _Server(msgspec.Struct):
    cores: dict[str, float]
    ours_rss_mb: float


class _Sample(msgspec.Struct):
    cores: dict[str, float]


class _Moment(msgspec.Struct):
    events_per_second: float
    reads_per_second: float
    accept_p99_ms: float | None
    visible_p99_ms: float | None
    read_p99_ms: float | None


class _Machine(msgspec.Struct):
    cores: int


class Report(msgspec.Struct):
    """What is compared of a report of `lab run`."""

    load: _Load
    machine: _Machine
    server: _Server
    samples: list[_Sample]
    each_second: list[_Moment]
    events_per_second: float
    reads_per_second: float
    accept_p99_ms: float | None
    visible_p99_ms: float | None
    read_p99_ms: float | None
    errors: int
    lost: int
    doubled: int
    wrong: int


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
    value: Callable[[Report], float | None]
    series: Callable[[Report], list[float]]
    is_more_better: bool = False
    noise_least: float = 0.0


def read_report(content: bytes) -> Report:
    """Return a report from its file's content.

    Raises:
        LabError: it is none of `lab run`.
    """
    try:
        return msgspec.json.decode(content, type=Report)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LabError(f"This is no report of `lab run`: {error}.") from None


def compare(before: Report, after: Report) -> list[Difference]:
    """Return what became of each figure.

    Raises:
        LabError: the reports are of different loads.
    """
    one, other = before.load, after.load
    if one != other:
        raise LabError(
            f"These are of different loads: {one.daily_players:,} {one.profile}, "
            f"{other.daily_players:,} {other.profile}."
        )
    found = [_difference(figure, before, after) for figure in _FIGURES]
    return [each for each in found if each is not None] + [
        _counted(name, before, after) for name in ("errors", "lost", "doubled", "wrong")
    ]


def is_regress(differences: list[Difference]) -> bool:
    """Return whether anything became worse beyond noise."""
    return any(each.direction == "worse" and each.is_beyond_noise for each in differences)


def _difference(figure: _Figure, before: Report, after: Report) -> Difference | None:
    """Return what became of a figure; None when there is none in one of them."""
    one, other = figure.value(before), figure.value(after)
    if one is None or other is None:
        return None
    errors = [_standard_error(figure.series(each)) for each in (before, after)]
    noise = max(STANDARD_ERRORS * math.hypot(*errors), NOISE_SHARE_LEAST * abs(one), figure.noise_least)
    return Difference(figure.name, one, other, round(noise, 2), _direction(figure.is_more_better, one, other))


def _counted(name: str, before: Report, after: Report) -> Difference:
    counts = getattr(before, name), getattr(after, name)
    return Difference(name, *counts, 0.0, _direction(False, *counts))


def _direction(is_more_better: bool, before: float, after: float) -> Direction:
    if before == after:
        return "same"
    return "better" if (after > before) == is_more_better else "worse"


def _standard_error(series: list[float]) -> float:
    settled = series[int(len(series) * _SETTLED_SHARE) :]
    return statistics.stdev(settled) / math.sqrt(len(settled)) if len(settled) > 1 else 0.0


def _of_run(name: str) -> Callable[[Report], float | None]:
    return lambda report: getattr(report, name)


def _each_second(name: str) -> Callable[[Report], list[float]]:
    return lambda report: [found for moment in report.each_second if (found := getattr(moment, name)) is not None]


def _cpu_each(report: Report, cores: dict[str, float]) -> float:
    used = sum(share for name, share in cores.items() if name != GENERATOR)
    return float(round(used / max(1.0, report.events_per_second) * 1e6, 2))


_FIGURES = (
    *(_Figure(name, _of_run(name), _each_second(name), True) for name in ("events_per_second", "reads_per_second")),
    *(
        _Figure(name, _of_run(name), _each_second(name), noise_least=NOISE_MS_LEAST)
        for name in ("accept_p99_ms", "visible_p99_ms", "read_p99_ms")
    ),
    _Figure(
        "server_cpu_us_an_event",
        lambda report: _cpu_each(report, report.server.cores),
        lambda report: [_cpu_each(report, sample.cores) for sample in report.samples],
    ),
    _Figure("ours_rss_mb", lambda report: report.server.ours_rss_mb, lambda _: []),
)
