"""What a row of the result is, and how rounds become one figure."""

import math
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.cpu import OTHERS

_FULL_SHARE = 0.9


@dataclass
class Row:
    """One line of the result: what the product does beside what its ceiling does, measured side by side.

    `product` and `ceiling` have one figure a round, in `unit`; the ratio is the median of the rounds' ratios, because
    two figures of one round share the machine's mood. `cpu_cores` tells who kept how many cores busy for the product.
    """

    key: str
    title: str
    unit: str
    product: list[float]
    ceiling: list[float] = field(default_factory=list)
    ceiling_title: str = ""
    target: float | None = None
    limit: float | None = None
    cpu_cores: dict[str, float] = field(default_factory=dict)
    facts: dict[str, float | int | str | bool] = field(default_factory=dict)

    @property
    def product_median(self) -> float:
        """The product's figure."""
        return statistics.median(self.product)

    @property
    def ceiling_median(self) -> float | None:
        """The ceiling's figure, where there is one."""
        return statistics.median(self.ceiling) if self.ceiling else None

    @property
    def ratios(self) -> list[float]:
        """Product by ceiling, a round each."""
        return [mine / theirs for mine, theirs in zip(self.product, self.ceiling, strict=True)] if self.ceiling else []

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios."""
        return statistics.median(self.ratios) if self.ceiling else None

    @property
    def is_met(self) -> bool | None:
        """Whether the row reaches its target ratio, or stays below its limit; None when it has neither."""
        if self.target is not None and self.ratio is not None:
            return self.ratio >= self.target
        if self.limit is not None:
            return self.product_median < self.limit
        return None

    @property
    def cpu_us_each(self) -> dict[str, float]:
        """Microseconds of CPU for each thing done, by kind of process: less disturbed by other programs than a rate."""
        if not self.unit.endswith("/s"):
            return {}
        each = {name: cores / self.product_median * 1e6 for name, cores in self.cpu_cores.items() if name != OTHERS}
        return {name: round(microseconds, 1) for name, microseconds in each.items()}

    @property
    def next_limit(self) -> str:
        """The kind of process that kept most cores busy, and whether any core had nothing to do."""
        ours = {name: cores for name, cores in self.cpu_cores.items() if name != OTHERS}
        busiest = max(ours, key=lambda name: ours[name], default=None)
        if busiest is None:
            return ""
        used, there = sum(self.cpu_cores.values()), os.cpu_count() or 1
        full = "all cores busy" if used > _FULL_SHARE * there else f"{used:.1f} of {there} cores busy"
        return f"{busiest} {self.cpu_cores[busiest]:.2f} ({full})"


def mean_cores(measured: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the mean of several measurements of cores, most first."""
    names = {name for cores in measured for name in cores}
    means = {name: round(sum(cores.get(name, 0.0) for cores in measured) / len(measured), 2) for name in names}
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile, `share` between 0 and 1."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
