"""Keeps the partitions of events made ahead, so that no batch waits for one."""

from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog

from grandstand import clock
from grandstand.domain.partitions import find_partition, list_replaceable
from grandstand.storage.event_log import EventLog
from grandstand.storage.postgres import Connection, Database

_MARGIN = timedelta(hours=2)
"""Further ahead than the clock of any host: nobody writes there."""

_log = structlog.get_logger(__name__)


class PartitionKeeper:
    """Makes the partition that holds now and the next ones, of the kind that the event log makes."""

    def __init__(self, database: Database, event_log: EventLog, ahead: int) -> None:
        self._database = database
        self._event_log = event_log
        self._ahead = ahead

    async def keep(self) -> None:
        """Make what is missing: the partition that holds now, and `ahead` more, each beginning where one ends.

        After a change of the setting, empty partitions of the other kind make way in months that have not begun.

        Raises:
            UnavailableError: the database is out of reach.

        """
        now = clock.now()
        async with self._database.connection() as connection:
            held = await self._event_log.partitions(connection)
            for group in list_replaceable(held, now + _MARGIN, self._event_log.every):
                try:
                    # With those that come instead, so that nobody ever sees a gap.
                    async with connection.transaction():
                        if await self._event_log.drop_empty(connection, group):
                            _log.info("partitions_replaced", partitions=[each.name for each in group])
                            await self._make(connection, now)
                except asyncpg.LockNotAvailableError:
                    _log.info("partition_in_use", partition=group[0].name)
            await self._make(connection, now)

    async def _make(self, connection: "Connection[Any]", now: datetime) -> None:
        moment = now
        for _ in range(self._ahead + 1):
            made = await self._event_log.create_partition(connection, moment)
            if made is not None:
                _log.info("partition_created", partition=made.name)
            partition = made or find_partition(await self._event_log.partitions(connection), moment)
            if partition is None:
                # It has left between two looks: the next round makes it.
                return
            moment = partition.ends_at
