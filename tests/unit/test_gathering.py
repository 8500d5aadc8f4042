"""How long events gather in a worker: not at all to speak of while few come, and for a fifth of a second at most."""

import pytest

from grandstand.workers.batch_size import GATHERING_SECONDS_MAX, GATHERING_SECONDS_MIN, gathering_seconds


@pytest.mark.parametrize(
    ("events", "seconds", "expected"),
    [
        (1, 60.0, GATHERING_SECONDS_MIN),
        (1, 0.0, GATHERING_SECONDS_MIN),
        (4, 0.02, GATHERING_SECONDS_MIN),
        (20, 0.02, GATHERING_SECONDS_MAX / 2),
        (100, 0.1, GATHERING_SECONDS_MAX / 2),
        (40, 0.02, GATHERING_SECONDS_MAX),
        (900, 0.001, GATHERING_SECONDS_MAX),
    ],
)
def test_events_gather_for_longer_where_more_come(events: int, seconds: float, expected: float) -> None:
    assert gathering_seconds(events, seconds) == pytest.approx(expected)


def test_a_steady_stream_finds_a_steady_time() -> None:
    seconds = GATHERING_SECONDS_MIN
    for _ in range(5):
        seconds = gathering_seconds(round(1_200 * seconds), seconds)
    assert seconds == pytest.approx(0.6 * GATHERING_SECONDS_MAX)
