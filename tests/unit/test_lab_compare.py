"""Two reports are compared beyond noise, and only what became worse fails."""

import random
from typing import Any

import msgspec
import pytest

from grandstand.lab.compare import Report, compare, is_regress
from grandstand.lab.errors import LabError


def report(accept_ms: float = 10.0, seed: int = 1, **changes: Any) -> Report:
    randomly = random.Random(seed)
    seconds = [
        {
            "events_per_second": 100.0, "reads_per_second": 70.0, "visible_p99_ms": 50.0, "read_p99_ms": 5.0,
            "accept_p99_ms": accept_ms * randomly.uniform(0.7, 1.3),
        }
        for _ in range(60)
    ]  # fmt: skip
    values = {
        "load": {"daily_players": 10_000, "profile": "peak"}, "events_per_second": 100.0, "reads_per_second": 70.0,
        "accept_p99_ms": accept_ms, "visible_p99_ms": 50.0, "read_p99_ms": 5.0, "errors": 0, "lost": 0, "doubled": 0,
        "wrong": 0, "server": {"cores": {"http": 0.5, "generator": 9.0}, "ours_rss_mb": 300.0},
        "samples": [{"cores": {"http": 0.5}} for _ in range(60)], "each_second": seconds,
        "machine": {"cores": 2},
    } | changes  # fmt: skip
    return msgspec.convert(values, Report)


def found(before: Report, after: Report, name: str) -> tuple[str, bool]:
    (each,) = (each for each in compare(before, after) if each.name == name)
    return each.direction, each.is_beyond_noise


def test_the_same_is_no_regress() -> None:
    assert not is_regress(compare(report(), report()))


def test_a_little_more_is_noise_and_much_more_is_not() -> None:
    assert found(report(10.0), report(10.5, seed=2), "accept_p99_ms") == ("worse", False)
    assert found(report(10.0), report(20.0, seed=2), "accept_p99_ms") == ("worse", True)
    assert is_regress(compare(report(10.0), report(20.0)))
    assert found(report(20.0), report(10.0), "accept_p99_ms") == ("better", True)
    assert not is_regress(compare(report(20.0), report(10.0)))


@pytest.mark.parametrize("name", ["errors", "lost", "doubled", "wrong"])
def test_one_more_of_what_must_not_be_is_a_regress(name: str) -> None:
    assert is_regress(compare(report(), report(**{name: 1})))
    assert not is_regress(compare(report(**{name: 1}), report()))


def test_a_figure_that_one_of_them_has_not_is_left_out() -> None:
    nothing = report(visible_p99_ms=None)
    assert "visible_p99_ms" not in {each.name for each in compare(report(), nothing)}
    assert not is_regress(compare(report(), nothing))


def test_the_generators_cost_is_not_the_servers() -> None:
    dearer = report(server={"cores": {"http": 0.5, "generator": 99.0}, "ours_rss_mb": 300.0})
    assert not is_regress(compare(report(), dearer))
    dearer = report(server={"cores": {"http": 0.9, "generator": 9.0}, "ours_rss_mb": 300.0})
    assert is_regress(compare(report(), dearer))


def test_other_loads_are_refused() -> None:
    with pytest.raises(LabError, match="different loads"):
        compare(report(), report(load={"daily_players": 1, "profile": "peak"}))
