"""Reads a stretch of one ranking from the store that holds it.

The rank index answers; while it is not complete PostgreSQL does, from the entries, and the ranking is put on the list
of those to rebuild. Archived rankings are read from the archive. No answer ever comes from an incomplete index.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from grandstand.domain.cursors import Place
from grandstand.domain.errors import UnavailableError
from grandstand.operations.catalog import indexed
from grandstand.operations.find_ranking import Target
from grandstand.operations.route_reads import Reads
from grandstand.operations.trust_index import IndexTrust
from grandstand.storage.archive import ArchiveStore
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.index_reads import Indexed, IndexIncompleteError
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.storage.windows import Window

CONCURRENT_MAX = 2
"""Whole-ranking reads of PostgreSQL one process runs at once, so that a lost index does not take every connection."""

WAIT_SECONDS = 3.0
"""Longest wait for one's turn to read a whole ranking; then the caller is told to come again."""

_PAUSE_MAX_SECONDS = 5.0
"""Longest time for which a turn is kept free behind a read: as long as the read took, which is the rebuild's share."""

_RETRY_AFTER_SECONDS = 2
_EMPTY = Window(0, None, [])


class RankingWindows:
    """Asks the index, the entries or the archive.

    All raise `UnavailableError` when none of them can answer right now, or too many wait for PostgreSQL already.
    """

    def __init__(
        self,
        database: Database | Reads,
        rankings: RankingStore,
        index: RankingIndex,
        entry_reads: EntryReads,
        archive: ArchiveStore,
        trust: IndexTrust,
    ) -> None:
        self._database = database
        self._rankings = rankings
        self._index = index
        self._entry_reads = entry_reads
        self._archive = archive
        self._trust = trust
        self._slots = asyncio.Semaphore(CONCURRENT_MAX)

    async def from_rank(self, target: Target, rank: int, count: int, own: str) -> Window:
        """Read `count` entries from `rank` (from 1) on, and the entry of `own` unless that is empty."""
        return await self._ask(
            target,
            lambda ranking: self._index.from_rank(ranking, rank, count, own),
            lambda connection, ranking: self._entry_reads.from_rank(connection, ranking, rank, count, own),
            lambda connection, ranking, total: self._archived_page(connection, ranking, total, rank, count, own),
        )

    async def after(self, target: Target, place: Place, count: int, own: str) -> Window:
        """Read `count` entries that stand behind a place, and the entry of `own` unless that is empty."""
        return await self._ask(
            target,
            lambda ranking: self._index.after(ranking, place.position, count, own),
            lambda connection, ranking: self._entry_reads.after(connection, ranking, place.position, count, own),
            lambda connection, ranking, total: self._archived_page(
                connection, ranking, total, place.rank + 1, count, own
            ),
        )

    async def around(
        self, target: Target, user_id: str, above: int, below: int, *, is_index_asked: bool = False
    ) -> Window:
        """Read a user's entry (`own`) with its neighbours; no entries if it has none.

        From another store than the index if that had no answer.
        """
        return await self._ask(
            target,
            lambda ranking: self._index.around(ranking, user_id, above, below),
            lambda connection, ranking: self._entry_reads.around(connection, ranking, user_id, above, below),
            lambda connection, ranking, total: self._archived_around(connection, ranking, total, user_id, above, below),
            is_index_asked=is_index_asked,
        )

    async def place(self, target: Target, user_id: str, *, is_index_asked: bool = False) -> Window:
        """Read a user's entry (`own`), None if it has none; from another store than the index if that had no answer."""
        return await self._ask(
            target,
            lambda ranking: self._index.place(ranking, user_id),
            lambda connection, ranking: self._entry_reads.around(connection, ranking, user_id, 0, 0),
            lambda connection, ranking, total: self._archived_around(connection, ranking, total, user_id, 0, 0),
            is_index_asked=is_index_asked,
        )

    def tell_place(
        self, target: Target, user_id: str, tell: Callable[[Window | None, bool], None], above: int = 0, below: int = 0
    ) -> None:
        """Read as `around` does from the index of a ranking that is not archived, and have it told once, never at once.

        None where `around` has to read it, which asks another store or says why none can answer; and whether the index
        had none. To ask it again would be twice the wait where its server hangs.
        """
        if target.ranking is None:
            raise ValueError("Nobody has scored there.")
        mark = self._trust.mark()
        ranking = indexed(target.board, target.ranking.ranking_id)

        def tell_found(found: Window | None) -> None:
            tell(found if self._trust.holds(mark) else None, found is None)

        self._index.tell_place(ranking, user_id, tell_found, above, below)

    async def lookup(self, target: Target, user_ids: Sequence[str]) -> Window:
        """Read the entries of these users, in the order of ranks; those that are not ranked are left out."""
        return await self._ask(
            target,
            lambda ranking: self._index.lookup(ranking, user_ids),
            lambda connection, ranking: self._entry_reads.lookup(connection, ranking, user_ids),
            lambda connection, ranking, total: self._archived_lookup(connection, ranking, total, user_ids),
        )

    async def _ask(
        self,
        target: Target,
        index: Callable[[Indexed], Awaitable[Window]],
        entries: "Callable[[Connection[Any], Indexed], Awaitable[Window]]",
        archive: "Callable[[Connection[Any], Indexed, int], Awaitable[Window]]",
        *,
        is_index_asked: bool = False,
    ) -> Window:
        if target.ranking is None:
            return _EMPTY
        ranking = indexed(target.board, target.ranking.ranking_id)
        if target.ranking.state not in ("live", "closed"):
            return await self._from_database(ranking, entries, archive)
        if not is_index_asked:
            with suppress(IndexIncompleteError):
                return await self._trust.believe(index(ranking))
        await self._index.request_rebuild(ranking.ranking_id)
        has_waited = self._slots.locked()
        async with self._turn() as is_mine:
            if has_waited:
                # The rebuild may be over by now, and a whole ranking less is read.
                with suppress(IndexIncompleteError):
                    return await self._trust.believe(index(ranking))
            if not is_mine:
                raise UnavailableError(
                    "The ranks of this leaderboard are being put in order; try again.", retry_after=_RETRY_AFTER_SECONDS
                )
            return await self._from_database(ranking, entries, archive)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[bool]:
        """Wait for one's turn to read a whole ranking; say whether it came in time."""
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            yield False
            return
        begun_at = time.monotonic()
        try:
            yield True
        finally:
            pause_seconds = min(time.monotonic() - begun_at, _PAUSE_MAX_SECONDS)
            asyncio.get_running_loop().call_later(pause_seconds, self._slots.release)

    async def _from_database(
        self,
        ranking: Indexed,
        entries: "Callable[[Connection[Any], Indexed], Awaitable[Window]]",
        archive: "Callable[[Connection[Any], Indexed, int], Awaitable[Window]]",
    ) -> Window:
        async def read(connection: "Connection[Any]") -> Window:
            # In one snapshot with the read: live entries go away only after their archive is there.
            found = await self._rankings.find_by_ids(connection, [ranking.ranking_id])
            if not found or found[0].state == "dropped":
                raise UnavailableError("The leaderboard is being replaced; try again.")
            if found[0].state == "archived":
                return await archive(connection, ranking, found[0].total or 0)
            return await entries(connection, ranking)

        return await self._database.read(read, in_snapshot=True)

    async def _archived_page(
        self, connection: "Connection[Any]", ranking: Indexed, total: int, rank: int, count: int, own: str
    ) -> Window:
        entries = await self._archive.page(connection, ranking, rank, count)
        own_entries = await self._archive.find_users(connection, ranking, [own]) if own else []
        return Window(total, own_entries[0] if own_entries else None, entries)

    async def _archived_around(
        self, connection: "Connection[Any]", ranking: Indexed, total: int, user_id: str, above: int, below: int
    ) -> Window:
        found = await self._archive.find_users(connection, ranking, [user_id])
        if not found:
            return Window(total, None, [])
        first = max(1, found[0].rank - above)
        window = await self._archived_page(connection, ranking, total, first, found[0].rank - first + 1 + below, "")
        return window._replace(own=found[0])

    async def _archived_lookup(
        self, connection: "Connection[Any]", ranking: Indexed, total: int, user_ids: Sequence[str]
    ) -> Window:
        return Window(total, None, await self._archive.find_users(connection, ranking, user_ids))
