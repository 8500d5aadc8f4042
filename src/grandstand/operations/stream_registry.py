"""Knows all event streams that may hold events, from PostgreSQL, and says up to when everything is processed.

A process registers the streams of its setting, and writes to each only once that is committed. So whoever reads the
registry after some moment finds every stream to which an event was written before it. No setting is asked: processes
of several settings may run side by side, and a stream that nobody writes to any more may still hold events.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog

from grandstand import clock
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.postgres import Database
from grandstand.storage.stream_history import StreamHistory
from grandstand.storage.stream_names import STREAMS_MAX

FOLLOW_SECONDS = 2.0
"""How often each process looks for streams that others have registered."""

_log = structlog.get_logger(__name__)


class StreamRegistry:
    """Keeps the streams that one process knows in step with those that are registered."""

    def __init__(self, database: Database, history: StreamHistory, streams: EventStreams) -> None:
        """`database` is the primary: a replica may not have a stream that events are in already."""
        self._database = database
        self._history = history
        self._streams = streams
        self._count = 1

    async def open(self, count: int) -> None:
        """Register the first `count` streams and write to them from now on.

        While a program leads that knows only the first one, that is all that is written to; `refresh` tries again.

        Raises:
            UnavailableError: the database is out of reach; only the first is written to.
        """
        self._count = count
        await self.refresh()

    async def refresh(self) -> Collection[int]:
        """Take in which streams there are, and return them. Those that this process knew before are among them.

        Raises:
            UnavailableError: the database is out of reach.
        """
        known = {stream.number for stream in self._streams.known}
        async with self._database.connection() as connection:
            numbers = {*await self._history.read_marks(connection)}
            if lost := sorted(known - numbers):
                # Also where an older state of the database was restored: events may be in them already, and so they may
                # be in those that only others write to, or nobody any more. Whoever knows of one says so.
                await self._history.register(connection, lost)
                numbers |= known
        if new := {*range(self._count)} - numbers:
            numbers |= await self._register_new(new)
        self._streams.know(numbers)
        self._streams.write_to(min(self._count, *({*range(STREAMS_MAX + 1)} - numbers)))
        return numbers

    async def _register_new(self, numbers: set[int]) -> set[int]:
        async with self._database.transaction() as connection:
            if await self._history.lock_leader(connection):
                await self._history.register(connection, sorted(numbers))
                return numbers
        _log.warning(
            "event_streams_wait", reason="a scheduler of an older version leads", event_streams=sorted(numbers)
        )
        return set()

    async def processed_until(self) -> datetime:
        """Return a time: every event that was received before it and is in a stream by now is processed.

        Raises:
            UnavailableError: the database or one of the streams is out of reach: then nobody knows.
        """
        # In this order: what is in a stream at this time is in one that is registered by now.
        now = clock.now()
        depth = await self._streams.depth(await self.refresh())
        return now - timedelta(seconds=depth.lag_seconds)
