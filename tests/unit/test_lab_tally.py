"""What several processes measured is put together without losing a tail."""

import random

import pytest

from grandstand.lab.tally import Latencies, Tally


def test_a_percentile_of_nothing_is_none() -> None:
    assert Tally().p_ms("visible", 99) is None


@pytest.mark.parametrize("parts", [1, 3])
def test_percentiles_of_several_processes_are_those_of_all_they_measured(parts: int) -> None:
    randomly = random.Random(parts)
    # Each has its own speed, and one in fifty of all is slow.
    seconds = [
        [randomly.expovariate(100 * (part + 1)) + (randomly.random() < 0.02) for _ in range(3_000)]
        for part in range(parts)
    ]
    tally = Tally()
    for each in seconds:
        latencies = Latencies()
        for second in range(3):
            for value in each[second::3]:
                latencies.note("accept", value)
            tally.add(latencies.take())
    everything = sorted(value for each in seconds for value in each)
    assert tally.count("accept") == len(everything)
    for percent in (50.0, 90.0, 99.0, 99.9):
        exact_ms = everything[round(percent / 100 * len(everything)) - 1] * 1000
        assert tally.p_ms("accept", percent) == pytest.approx(exact_ms, rel=0.002, abs=0.02)
