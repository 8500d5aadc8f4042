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
    """A loss of acknowledged events; `events_at_risk` is how many at most are known to have waited and to be gone."""

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

    async def read_mark(self, connection: "Connection[Any]") -> StreamMark | None:
        """Return the mark; None before the first."""
        row = await connection.fetchrow(queries.load("stream_history/read_mark.sql"))
        return None if row is None else StreamMark(*row)

    async def forget_mark(self, connection: "Connection[Any]") -> None:
        """Take whatever stream is there next for the right one."""
        await connection.execute(queries.load("stream_history/forget_mark.sql"))

    async def add_loss(self, connection: "Connection[Any]", loss: StreamLoss) -> None:
        """Write down a loss."""
        await connection.execute(queries.load("stream_history/add_loss.sql"), *loss)

    async def newest_ids(self, connection: "Connection[Any]") -> dict[str, int]:
        """Return the id of the newest loss of each reason."""
        return dict(await connection.fetch(queries.load("stream_history/newest_ids.sql")))

    async def newest_loss(self, connection: "Connection[Any]", age_max_seconds: float) -> StreamLoss | None:
        """Return the newest loss that is not older than this."""
        row = await connection.fetchrow(queries.load("stream_history/newest_loss.sql"), age_max_seconds)
        return None if row is None else StreamLoss(*row)
