"""Asks PostgreSQL whether events can be stored at all, whatever becomes of a certain one."""

from grandstand import clock
from grandstand.domain.event_model import NO_PAYLOAD, StreamedEvent
from grandstand.domain.ids import new_ids
from grandstand.storage.entries import EntryStore
from grandstand.storage.event_log import EventLog
from grandstand.storage.event_rows import EventRows
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Database

_NAME = "rehearsal"


class _UndoneError(Exception):
    """Takes the row of the rehearsal back."""


class EventRehearsal:
    """Goes the way of an event with one that is taken back, and commits: locks, rights, rows and the disk are tried."""

    def __init__(self, database: Database, ledger: Ledger, event_log: EventLog) -> None:
        self._database = database
        self._ledger = ledger
        self._event_log = event_log
        self._entries = EntryStore()

    async def run(self) -> None:
        """Return when any event could have been stored right now.

        Raises:
            Exception: none could, for whatever reason.
        """
        async with self._database.transaction() as connection:
            state = await self._ledger.join(connection)
            try:
                async with connection.transaction():
                    held = await self._event_log.partitions(connection)
                    # The open one may have left since events last came.
                    partition = state.open_partition if state.open_partition in held else next(reversed(held), None)
                    if partition is not None:
                        moment = partition.starts_at
                        event_id = str(new_ids(1, clock.now())[0])
                        event = StreamedEvent(_NAME, _NAME, NO_PAYLOAD, event_id, moment)
                        await self._event_log.store(connection, partition, EventRows([(event, moment)]))
                    await self._entries.touch(connection)
                    raise _UndoneError
            except _UndoneError:
                pass
