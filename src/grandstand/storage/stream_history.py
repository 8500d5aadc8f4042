"""What PostgreSQL remembers of the event stream: how it was last seen, and when it lost events."""

from datetime import datetime
from typing import Any, NamedTuple

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class StreamMark(NamedTuple):
    """The stream as it was last seen (see `event_stream.Inspection`)."""

    incarnation: str
    appended: int
    depth: int


class StreamLoss(NamedTuple):
    """A loss of acknowledged events; `events_at_risk` is how many were known to wait when it happened."""

    noticed_at: datetime
    reason: str
    events_at_risk: int


class StreamHistory:
    """The tables `stream_mark` and `stream_losses`; every method runs on the caller's connection."""

    async def lock_mark(self, connection: "Connection[Any]") -> StreamMark | None:
        """Return the mark, locked until the end of the transaction; None before the first."""
        row = await connection.fetchrow(queries.load("stream_history/lock_mark.sql"))
        return None if row is None else StreamMark(*row)

    async def put_mark(self, connection: "Connection[Any]", mark: StreamMark) -> None:
        """Replace the mark."""
        await connection.execute(queries.load("stream_history/put_mark.sql"), *mark)

    async def add_loss(self, connection: "Connection[Any]", reason: str, events_at_risk: int) -> None:
        """Write down a loss noticed just now."""
        await connection.execute(queries.load("stream_history/add_loss.sql"), reason, events_at_risk)

    async def newest_loss(self, connection: "Connection[Any]", age_max_seconds: float) -> StreamLoss | None:
        """Return the newest loss that is not older than this."""
        row = await connection.fetchrow(queries.load("stream_history/newest_loss.sql"), age_max_seconds)
        return None if row is None else StreamLoss(*row)
