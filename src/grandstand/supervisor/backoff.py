"""How long to wait before something that died is started again."""

FIRST_SECONDS = 0.1
LONGEST_SECONDS = 10.0
HEALTHY_SECONDS = 30.0


class Backoff:
    """Doubles from 0.1 s to 10 s, and begins anew after 30 s of health."""

    def __init__(self) -> None:
        self._next_seconds = FIRST_SECONDS

    def delay_seconds(self, uptime_seconds: float) -> float:
        """Return the wait after something ended that had run for so long."""
        if uptime_seconds >= HEALTHY_SECONDS:
            self._next_seconds = FIRST_SECONDS
        delay = self._next_seconds
        self._next_seconds = min(delay * 2, LONGEST_SECONDS)
        return delay
