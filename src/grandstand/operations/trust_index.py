"""Says whether the rank index may be believed: an index that was restored with older data agrees with itself.

A server that holds older data than before has been started anew or is another one, so the connections to it are new.
Nothing is served from it until this process has compared the streams, which lie beside the indexes, with what was last
seen of them: by PostgreSQL, or, while that is away, by this process. When a stream went back, the indexes on its server
did too.
"""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

from valkey.exceptions import ValkeyError

from grandstand.domain.errors import UnavailableError
from grandstand.operations.stream_memory import StreamMemory, compare
from grandstand.storage.index_reads import IndexIncompleteError
from grandstand.storage.postgres import Database
from grandstand.storage.stream_history import Marks, StreamHistory
from grandstand.storage.valkey_connections import ServerIdentity

_ANSWER_TIMEOUT_SECONDS = 1.0
_AGAIN_SECONDS = 0.1
"""Shortest time between two looks while the index is not believed."""

_AWAY_SECONDS = 5.0
"""The same after a stream was out of reach: the look may take seconds. The loop looks more often."""

T = TypeVar("T")


class IndexTrust:
    """What one process believes of the Valkey that it is connected to."""

    def __init__(
        self, server: ServerIdentity, database: Database, history: StreamHistory, memory: StreamMemory
    ) -> None:
        self._server = server
        self._database = database
        self._history = history
        self._memory = memory
        self._lock = asyncio.Lock()
        self._trusted: str | None = None
        self._has_compared = self._is_refuted = self._is_away = False
        self._next_look = 0.0

    async def believe(self, reading: Awaitable[T]) -> T:
        """Return what is read from the rank index; costs nothing unless the server is a new one.

        Raises:
            IndexIncompleteError: as the reading does, and when the index may be older than it was.

        """
        mark = self.mark()
        found = await reading
        if not self._is_trusted():
            await self._compare_once()
        if not self.holds(mark):
            raise IndexIncompleteError
        return found

    def mark(self) -> int:
        """Return what `holds` asks for after a reading that begins now."""
        return self._memory.index_losses

    def holds(self, mark: int) -> bool:
        """Whether what was read since the mark may be believed without another look."""
        return self._is_trusted() and self._memory.index_losses == mark

    async def look(self) -> None:
        """Compare once more; for a loop, which also notices what happens to a server that goes on.

        Raises:
            valkey.exceptions.ValkeyError: Valkey is out of reach.

        """
        await self._memory.look()
        async with self._lock:
            await self._compare()

    async def _compare_once(self) -> None:
        if self._is_away and (self._lock.locked() or time.monotonic() < self._next_look):
            # Whoever looks may be waiting for a server that hangs: meanwhile readers have PostgreSQL.
            return
        async with self._lock:
            if not self._is_trusted() and time.monotonic() >= self._next_look:
                await self._compare()
                self._next_look = time.monotonic() + (_AWAY_SECONDS if self._is_away else _AGAIN_SECONDS)

    def _is_trusted(self) -> bool:
        return self._trusted == self._server.run_id and not self._memory.is_index_stale

    async def _compare(self) -> None:
        run_id = self._server.run_id
        try:
            # In this order: a stream only ever grows beyond its mark.
            marks = await self._marks()
            seen = await self._memory.look()
        except (UnavailableError, TimeoutError):
            # What this process saw itself has to do; but what PostgreSQL has refuted is for it to allow again.
            is_right = self._has_compared and not self._is_refuted and await self._has_looked_again()
        except (ValkeyError, OSError):
            self._is_away = True
            return
        else:
            self._is_away = False
            is_right = not compare(marks, seen)
            self._has_compared, self._is_refuted = True, not is_right
        self._trusted = run_id if is_right else None

    async def _has_looked_again(self) -> bool:
        try:
            await self._memory.look()
        except (ValkeyError, OSError):
            return False
        return True

    async def _marks(self) -> Marks:
        async with asyncio.timeout(_ANSWER_TIMEOUT_SECONDS), self._database.connection() as connection:
            return await self._history.read_marks(connection)
