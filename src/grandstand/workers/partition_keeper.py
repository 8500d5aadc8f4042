"""Keeps the monthly partitions of events made ahead, so that no batch waits for one."""

from datetime import date

import structlog

from grandstand import clock
from grandstand.storage.event_log import EventLog, month_of, next_month, partition_name
from grandstand.storage.postgres import Database

_log = structlog.get_logger(__name__)


class PartitionKeeper:
    """Makes this month's partition and the next ones."""

    def __init__(self, database: Database, event_log: EventLog, ahead: int) -> None:
        self._database = database
        self._event_log = event_log
        self._ahead = ahead

    async def keep(self) -> None:
        """Make what is missing of this month and the `ahead` months after it.

        Raises:
            UnavailableError: the database is out of reach.

        """
        month: date = month_of(clock.now())
        async with self._database.connection() as connection:
            for _ in range(self._ahead + 1):
                if await self._event_log.create_partition(connection, month):
                    _log.info("partition_created", partition=partition_name(month))
                month = next_month(month)
