"""One listener's connection: what it is sent, and when it is given up. Nothing here waits."""

import time
from collections.abc import Callable

from grandstand.api.wire import Wire
from grandstand.operations.live_channel import Update
from grandstand.telemetry import metrics

KEEP_ALIVE_SECONDS = 15.0
"""After so long without an update a comment is sent, so that proxies keep the connection."""

SEND_TIMEOUT_SECONDS = 10.0
"""A listener that takes nothing for so long is dropped; it may come back with `Last-Event-ID`."""

_COMMENT = b": still here\n\n"


class LiveConnection:
    """Sends one client what is new to it."""

    __slots__ = ("_is_allowed", "_seen", "_sent_at", "_stuck_since", "_wire", "is_ended")

    def __init__(self, wire: Wire, last_id: str | None, is_allowed: Callable[[], bool] | None = None) -> None:
        self._wire = wire
        self._is_allowed = is_allowed
        self._seen = last_id
        self._sent_at = time.monotonic()
        self._stuck_since: float | None = None
        self.is_ended = False
        """Whether the board can be listened to no longer, by anyone or by this client."""

    def tell(self, update: Update) -> None:
        """Send a state that the client has not seen, or a sign of life when it is time for one."""
        if self._is_allowed is not None and not self._is_allowed():
            # A stream lasts for hours, and keys are revoked or end meanwhile.
            self.end()
            return
        now = time.monotonic()
        is_news = update.id != self._seen
        if not is_news and now - self._sent_at < KEEP_ALIVE_SECONDS:
            return
        if self._wire.push(update.event if is_news else _COMMENT):
            self._seen, self._sent_at, self._stuck_since = update.id, now, None
        elif self._stuck_since is None:
            self._stuck_since = now
        elif now - self._stuck_since >= SEND_TIMEOUT_SECONDS:
            drop(self._wire)

    def end(self) -> None:
        """Let the stream end in order."""
        self.is_ended = True
        self._wire.wake()


def drop(wire: Wire) -> None:
    """Break the connection of a client that takes nothing: closing it would wait for what is still to be sent."""
    metrics.LIVE_DROPPED.inc()
    wire.abort()
