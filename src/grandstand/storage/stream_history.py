"""What PostgreSQL remembers of the event streams: which there are, how each was last seen, and when one lost events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class StreamMark(NamedTuple):
    """A stream as it was last seen (see `event_stream.Inspection`)."""

    incarnation: str
    appended: int
    depth: int


Marks = Mapping[int, StreamMark | None]
"""The mark of each registered stream, by its number; None before the first."""


class StreamLoss(NamedTuple):
    """A loss of acknowledged events; `events_at_risk` is how many at most are known to have waited and to be gone."""

    noticed_at: datetime
    reason: str
    events_at_risk: int
    stream: int = 0


class StreamHistory:
    """The tables `event_streams` and `stream_losses`; every method runs on the caller's connection."""

    async def register(self, connection: "Connection[Any]", numbers: Sequence[int]) -> None:
        """Say that there are these streams. Once that is committed they may be written to; none is ever forgotten."""
        await connection.execute(queries.load("stream_history/register.sql"), numbers)

    async def lock_leader(self, connection: "Connection[Any]") -> bool:
        """Tell whether there may be a further stream: not while a program leads that knows only the first.

        Until the transaction ends nobody begins to lead, and afterwards no such program does.
        """
        return all(row[0] for row in await connection.fetch(queries.load("stream_history/lock_leader.sql")))

    async def lock_marks(self, connection: "Connection[Any]") -> Marks:
        """Return the marks, locked until the end of the transaction."""
        return _marks(await connection.fetch(queries.load("stream_history/lock_marks.sql")))

    async def read_marks(self, connection: "Connection[Any]") -> Marks:
        """Return the marks of all registered streams."""
        return _marks(await connection.fetch(queries.load("stream_history/read_marks.sql")))

    async def put_mark(self, connection: "Connection[Any]", number: int, mark: StreamMark) -> None:
        """Replace the mark of a registered stream."""
        await connection.execute(queries.load("stream_history/put_mark.sql"), number, *mark)

    async def forget_marks(self, connection: "Connection[Any]") -> None:
        """Take whatever streams are there next for the right ones; the schema may be an older one."""
        await connection.execute(queries.load("stream_history/forget_marks.sql"))

    async def add_loss(self, connection: "Connection[Any]", loss: StreamLoss) -> None:
        """Write down a loss."""
        await connection.execute(queries.load("stream_history/add_loss.sql"), *loss)

    async def newest_ids(self, connection: "Connection[Any]") -> dict[tuple[int, str], int]:
        """Return the id of the newest loss of each stream and reason."""
        rows = await connection.fetch(queries.load("stream_history/newest_ids.sql"))
        return {(stream, reason): loss_id for stream, reason, loss_id in rows}

    async def newest_loss(self, connection: "Connection[Any]", age_max_seconds: float) -> StreamLoss | None:
        """Return the newest loss that is not older than this."""
        row = await connection.fetchrow(queries.load("stream_history/newest_loss.sql"), age_max_seconds)
        return None if row is None else StreamLoss(*row)


def _marks(rows: Sequence[Any]) -> Marks:
    return {
        stream: None if incarnation is None else StreamMark(incarnation, appended, depth)
        for stream, incarnation, appended, depth in rows
    }
