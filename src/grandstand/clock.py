"""The one place that reads the wall clock, so tests can say what time it is; and how to let time pass."""

import asyncio
import contextlib
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.now(UTC)


async def wait(stop: asyncio.Event, seconds: float) -> None:
    """Wait up to `seconds`, or until the stop."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)
