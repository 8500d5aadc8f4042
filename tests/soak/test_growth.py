"""What stored events cost is judged by CPU time, and by the rate where nobody else was at work."""

import pytest
from soak.growth import QUIET_CORES, Cycle, Growth
from soak.table_set import Taken


def cycle(seconds: float, cpu_seconds: float) -> Cycle:
    """A cycle of two rounds of 1,000 events."""
    half = Taken(1_000, seconds / 2, cpu_seconds / 4)
    return Cycle([half, half], cpu_seconds / 2)


def growth(loaded: Cycle, others_cores: float = 0.0) -> Growth:
    cycles = {0: cycle(1.0, 1.0), 1_000_000: cycle(1.1, 1.1), 50_000_000: loaded}
    return Growth(cycles={7: cycles}, others_cores=others_cores)


@pytest.mark.parametrize(
    ("seconds", "cpu_seconds", "others_cores", "is_met"),
    [
        (1.1, 1.1, 0.0, True),
        (1.3, 1.1, 0.0, False),
        (1.3, 1.1, 2 * QUIET_CORES, True),
        (1.1, 1.3, 0.0, True),
        (1.1, 1.3, 2 * QUIET_CORES, False),
    ],
)
def test_rates_count_where_nobody_else_was_at_work(
    seconds: float, cpu_seconds: float, others_cores: float, is_met: bool
) -> None:
    result = growth(cycle(seconds, cpu_seconds), others_cores)
    assert result.ratio(7, 50_000_000) == pytest.approx(1 / seconds)
    assert result.cpu_ratio(7, 50_000_000) == pytest.approx(1 / cpu_seconds)
    assert result.is_met is is_met
    assert result.as_json()["met"] is is_met
