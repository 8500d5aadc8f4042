"""How soon one small write to the stream follows another."""

PAUSE_SECONDS_MAX = 0.005
"""Longest time from the begin of a small write to the next one's: what a request waits at most for others to come. Its
acknowledgement waits for a disk anyway, which takes as long now and then."""

_LOADED_REQUESTS_PER_SECOND = 250.0
"""Where so many find another one that waits or is being written, they gather for the longest time; where fewer do, for
less in proportion."""

_MEMORY_SECONDS = 0.05


class WritePace:
    """The pace of one process's writes. Times are of the monotonic clock.

    A write with its sync costs the processes and the disk as much as tens of requests do. Who is alone waits for
    nobody: neither the first request after a pause, nor a client that sends one after the other.
    """

    def __init__(self) -> None:
        self.next_at = 0.0
        """When the next write begins that is not worth it at once."""
        self.gathered = 0
        """Requests that came while another one waited or was being written, since the last write began."""
        self._began_at = 0.0
        self._per_second = 0.0

    def begin(self, now: float) -> None:
        """Take in that a write begins."""
        seconds = now - self._began_at
        if seconds > 0:
            weight = min(1.0, seconds / _MEMORY_SECONDS)
            self._per_second += weight * (self.gathered / seconds - self._per_second)
            self.gathered, self._began_at = 0, now
        self.next_at = now + min(1.0, self._per_second / _LOADED_REQUESTS_PER_SECOND) * PAUSE_SECONDS_MAX
