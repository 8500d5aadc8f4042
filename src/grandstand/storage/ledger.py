"""The ledger lock: batches share it; what must not run beside a batch seizes it.

Seizing is how a definition changes, a partition opens or a player is removed at one clear moment between two batches.
The lock is an advisory one, so sharing it writes nothing. docs/decisions/0004 has the reasons.
"""

import hashlib
from typing import Any, NamedTuple

from grandstand.domain.partitions import PartitionRange, between
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class LedgerState(NamedTuple):
    """What every batch must know before it writes."""

    open_partition: PartitionRange | None
    leaderboards_revision: int


class Ledger:
    """Takes and reads the ledger of one schema; every method runs inside the caller's transaction."""

    def __init__(self, schema: str) -> None:
        self._schema = schema
        self._lock_number = _lock_number(schema)

    async def join(self, connection: "Connection[Any]") -> LedgerState:
        """Share the lock until the transaction ends, and return the state as of then."""
        await connection.execute(queries.load("ledger/join.sql"), self._lock_number)
        return await self.read(connection)

    async def share(self, connection: "Connection[Any]") -> None:
        """Share the lock until the transaction ends, for what is no batch: the planner stays as it is."""
        await connection.execute(queries.load("ledger/share.sql"), self._lock_number)

    async def seize(self, connection: "Connection[Any]") -> LedgerState:
        """Hold the lock alone until the transaction ends, and return the state as of then."""
        await connection.execute(queries.load("ledger/seize.sql"), self._lock_number)
        return await self.read(connection)

    async def try_claim(self, connection: "Connection[Any]", purpose: str) -> bool:
        """Claim something for this transaction alone, without waiting; return whether nobody else holds it."""
        claimed: bool = await connection.fetchval(
            queries.load("ledger/try_claim.sql"), _lock_number(f"{self._schema} {purpose}")
        )
        return claimed

    async def read(self, connection: "Connection[Any]") -> LedgerState:
        """Return the state; it may change at once unless the lock is held."""
        row = await connection.fetchrow(queries.load("ledger/read.sql"))
        if row is None:
            raise RuntimeError("The table ledger has lost its row; restore it from a backup or run the migrations.")
        first = row["open_month"]
        partition = None if first is None else between(first, row["open_until"])
        return LedgerState(partition, row["leaderboards_revision"])

    async def open_partition(self, connection: "Connection[Any]", partition: PartitionRange) -> None:
        """Make a partition the one that batches may write side by side, unless a later one is. Needs the lock alone."""
        await connection.execute(
            queries.load("ledger/open_partition.sql"), partition.starts_at.date(), partition.ends_at.date()
        )

    async def next_leaderboards_revision(self, connection: "Connection[Any]") -> int:
        """Return a new revision for changed definitions. Needs the lock alone."""
        revision: int = await connection.fetchval(queries.load("ledger/bump_leaderboards.sql"))
        return revision


def _lock_number(name: str) -> int:
    digest = hashlib.blake2b(f"grandstand ledger {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
