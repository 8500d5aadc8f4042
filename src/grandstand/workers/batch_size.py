"""How many events a worker applies at once: fewer for a while after a batch that took too long, more under load."""

from grandstand.workers.isolation import Outcome

_CUT = 8
_GROWTH = 1.25

GATHERING_SECONDS_MIN = 0.02
GATHERING_SECONDS_MAX = 0.2
"""Least and longest time from one small batch to the next: what an event waits at most before anything is done for it.
A rank is to be seen within a second (p99), of which this is a fifth."""

_LOADED_EVENTS_PER_SECOND = 2_000.0
"""Where so many come, they gather for the longest time; where fewer come, for less in proportion."""


def gathering_seconds(events: int, seconds: float) -> float:
    """Return how long after the begin of a batch the next one begins, when `events` came within `seconds`.

    A transaction with its sync costs as much as hundreds of events do. A few events a second are seen at once and cost
    little; two thousand a second share five transactions. The first event after a pause waits for nobody.
    """
    load = events / max(seconds, GATHERING_SECONDS_MIN) / _LOADED_EVENTS_PER_SECOND
    return max(GATHERING_SECONDS_MIN, min(1.0, load) * GATHERING_SECONDS_MAX)


class BatchSize:
    """The size for one worker, up to `events_max`."""

    def __init__(self, events_max: int) -> None:
        self._events_max = events_max
        self.events = events_max

    def learn(self, events: int, outcome: Outcome) -> None:
        """Take in what became of a batch of so many events.

        One event that takes for ever makes its batch slow, too: then its neighbours fail as little as before in smaller
        batches, and the size grows again.
        """
        if outcome.was_too_slow:
            self.events = max(1, min(self.events, events) // _CUT)
        else:
            self.events = min(self._events_max, int(self.events * _GROWTH) + 1)
