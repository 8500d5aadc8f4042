"""Writes to the stream follow one another at once while each is alone, and after a moment where many come."""

import pytest

from grandstand.operations.write_pace import PAUSE_SECONDS_MAX, WritePace


def paced(per_second: float, gathered: int, start: float = 1_000.0) -> float:
    """The pause that a steady stream of writes ends at, each of which `gathered` requests waited for."""
    pace = WritePace()
    now = start
    for _ in range(1_000):
        pace.gathered += gathered
        pace.begin(now)
        now += 1 / per_second
    return pace.next_at - (now - 1 / per_second)


@pytest.mark.parametrize(
    ("per_second", "gathered", "expected"),
    [
        (2_000, 0, 0.0),
        (10, 1, PAUSE_SECONDS_MAX * 10 / 250),
        (125, 1, PAUSE_SECONDS_MAX / 2),
        (200, 5, PAUSE_SECONDS_MAX),
        (1_000, 100, PAUSE_SECONDS_MAX),
    ],
)
def test_they_wait_for_longer_where_more_gather(per_second: float, gathered: int, expected: float) -> None:
    assert paced(per_second, gathered) == pytest.approx(expected, abs=PAUSE_SECONDS_MAX / 100)


def test_the_first_after_a_pause_waits_for_nobody() -> None:
    pace = WritePace()
    for number in range(100):
        pace.gathered += 50
        pace.begin(1.0 + number / 200)
    assert pace.next_at == pytest.approx(1.495 + PAUSE_SECONDS_MAX)
    pace.begin(60.0)
    assert pace.next_at == 60.0


def test_two_writes_at_one_time_are_no_load_without_bounds() -> None:
    pace = WritePace()
    pace.gathered = 3
    pace.begin(5.0)
    pace.gathered += 3
    pace.begin(5.0)
    assert 5.0 <= pace.next_at <= 5.0 + PAUSE_SECONDS_MAX
