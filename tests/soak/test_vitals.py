"""Growth is told from noise."""

import pytest
from soak.vitals import Sample, report, slope


def samples(rise_mb_per_hour: float, connections: tuple[int, int] = (5, 5), new_pid_at: int = -1) -> list[Sample]:
    return [
        Sample(
            at_seconds=10.0 * number,
            memory_mb={"worker-1": 80 + rise_mb_per_hour * number / 360 + number % 2},
            files={"worker-1": 20},
            pids={"worker-1": 2 if 0 <= new_pid_at <= number else 1},
            postgres_connections=connections[number >= 180],
            valkey_connections=9,
            lag_seconds=0.1,
        )
        for number in range(360)
    ]


def test_a_slope_is_by_the_hour() -> None:
    assert slope([(0.0, 1.0), (1800.0, 2.0), (3600.0, 3.0)]) == pytest.approx(2.0)
    assert slope([(5.0, 1.0)]) == 0.0


def test_flat_memory_is_no_trouble_and_growing_memory_is() -> None:
    assert report(samples(1))["trouble"] == []
    assert len(report(samples(100))["trouble"]) == 1


def test_what_the_first_checks_take_and_keep_is_no_growth() -> None:
    stepped = samples(0)
    for sample in stepped:
        sample.memory_mb["worker-1"] += 30 * (sample.at_seconds >= 300) + 8 * (sample.at_seconds >= 600)

    assert report(stepped)["trouble"] == []
    assert report(stepped[:150])["trouble"] == []


def test_more_and_more_connections_are_trouble() -> None:
    assert report(samples(0, connections=(5, 40)))["trouble"] == ["postgres_connections: 5 became 40"]


def test_a_process_in_the_place_of_another_is_looked_at_alone() -> None:
    assert report(samples(100, new_pid_at=350))["slopes_mb_per_hour"]["worker-1"] == pytest.approx(100, abs=60)
