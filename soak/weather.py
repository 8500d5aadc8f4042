"""When faults were on: only then, and until all is well again, may a request fail."""

import time
from dataclasses import dataclass, field

AFTERMATH_SECONDS = 1.0
"""How long after the healing a request may still fail: connections that broke in pools are found one by one."""


@dataclass
class Weather:
    """Stretches of rough weather, in seconds of the monotonic clock."""

    _stretches: list[tuple[float, float]] = field(default_factory=list)
    _since: float | None = None

    @property
    def is_rough(self) -> bool:
        """Whether a fault is on."""
        return self._since is not None

    def begin(self) -> None:
        """Hear that a fault begins."""
        self._since = time.monotonic()

    def end(self) -> None:
        """Hear that all is well again."""
        if self._since is not None:
            self._stretches.append((self._since, time.monotonic() + AFTERMATH_SECONDS))
            self._since = None

    def touched(self, sent_at: float, ended_at: float) -> bool:
        """Whether a request that ran from one moment to the other met rough weather."""
        if self._since is not None and ended_at >= self._since:
            return True
        return any(since <= ended_at and sent_at <= until for since, until in reversed(self._stretches))
