"""Keeps the rollups: counts what the batches queued, and counts everything anew on demand.

A batch queues its new events in its own transaction, and counting takes them off the queue in the transaction that
adds them up: each is counted once, whoever is killed when. docs/decisions/0028 has the reasons.
"""

from typing import Any

from grandstand.domain.errors import ConflictError
from grandstand.storage.event_log import EventLog, partition_name
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.rollups import RollupStore


class EventCounter:
    """Keeps the rollups for one process."""

    def __init__(self, database: Database, ledger: Ledger, event_log: EventLog, *, fence: Fence = no_fence) -> None:
        self._database = database
        self._ledger = ledger
        self._event_log = event_log
        self._store = RollupStore()
        self._fence = fence

    async def count(self) -> int:
        """Count all batches that are queued, some a transaction; return how many there were.

        Raises:
            UnavailableError: the database is out of reach; what is not counted stays queued.
            LeaseLostError: the term is over.
        """
        total = 0
        while True:
            async with self._database.transaction() as connection:
                await self._fence(connection)
                await self._store.lock(connection)
                found = await self._store.count(connection)
            total += found
            if not found:
                return total

    async def rebuild(self, timeout_seconds: float = 3_600.0) -> None:
        """Count all stored events anew, at one moment between two batches; batches wait meanwhile.

        Raises:
            ConflictError: `rollups_need_archive` when events that were counted are not in PostgreSQL any more: what is
                left would not add up.
            UnavailableError: the database is out of reach, or a statement takes longer than `timeout_seconds`.
        """
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            await self._store.lock(connection)
            await self._check(connection)
            await self._store.rebuild(connection, timeout_seconds)

    async def _check(self, connection: "Connection[Any]") -> None:
        held = set(await self._event_log.partitions(connection))
        months = await self._store.counted_months(connection)
        if missing := [partition_name(month) for month in months if partition_name(month) not in held]:
            raise ConflictError(
                "rollups_need_archive",
                f"Counted events are no longer stored ({', '.join(missing)}): restore them before a rebuild.",
            )
