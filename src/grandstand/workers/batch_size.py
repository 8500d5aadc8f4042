"""How many events a worker applies at once: fewer for a while after a batch that took too long."""

from grandstand.workers.isolation import Outcome

_CUT = 8
_GROWTH = 1.25


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
