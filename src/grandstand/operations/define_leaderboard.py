"""Makes, changes, resets and deletes boards. A change takes effect between two batches, never in the middle of one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.definitions import check_key, is_key, parse_definition
from grandstand.domain.errors import ConflictError, NotFoundError, UnavailableError
from grandstand.domain.event_model import is_user_id
from grandstand.domain.leaderboards import (
    GLOBAL_DEFINITION,
    GLOBAL_KEY,
    Leaderboard,
    LeaderboardDefinition,
    Scalar,
    TieBreak,
    Tier,
)
from grandstand.domain.plausibility import Plausibility
from grandstand.operations.audit import record
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.storage.changes import Changes
from grandstand.storage.entries import Entry, EntryStore
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.storage.valkey_errors import OUT_OF_REACH

_log = structlog.get_logger(__name__)


class LeaderboardView(msgspec.Struct, kw_only=True):
    """A board's definition as it is served: every field, with the defaults filled in, and when the period ends."""

    key: str
    title: str | None
    event_type: str
    field: str | None
    where: dict[str, Scalar] | None
    operator: str
    order: str
    period: str
    timezone: str
    visibility: str
    min_score: int | None
    max_score: int | None
    segment_by: str | None
    keep: tuple[str, ...]
    tiers: tuple[Tier, ...]
    bucket_size: int | None
    tie_breaks: tuple[TieBreak, ...]
    plausibility: Plausibility | None
    period_ends_at: datetime | None


class LeaderboardDefiner:
    """Changes definitions for one process; every other process hears of it at once.

    Every method raises `UnavailableError` when the database is out of reach.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        store: LeaderboardStore,
        rankings: RankingStore,
        entries: EntryStore,
        index: RankingIndex,
        changes: Changes,
        catalog: LeaderboardCatalog | None = None,
    ) -> None:
        """`catalog` is what this process reads by: whoever is told of a change finds it in force here."""
        self._catalog = catalog
        self._database = database
        self._ledger = ledger
        self._store = store
        self._rankings = rankings
        self._entries = entries
        self._index = index
        self._changes = changes

    async def put(self, key: str, body: bytes) -> tuple[LeaderboardView, bool]:
        """Create the board, or change it; return it and whether it is new.

        Events count from when this returns. What decides scores can change only while the board has no entries in
        running periods, so two rules are never mixed; a replay changes it with the stored events.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value or key.
            ConflictError: `leaderboard_has_entries` when the rules would change under existing entries.
        """
        check_key(key)
        board, is_new = await self._put(key, parse_definition(body))
        return view(board), is_new

    async def ensure_global(self) -> None:
        """Create the board `global` when it is missing."""
        async with self._database.connection() as connection:
            board = await self._store.find(connection, GLOBAL_KEY)
        if board is None:
            await self._put(GLOBAL_KEY, GLOBAL_DEFINITION)

    async def get(self, key: str) -> LeaderboardView:
        """Return a board's definition.

        Raises:
            NotFoundError: `leaderboard_not_found`.
        """
        async with self._database.connection() as connection:
            return view(await self._find(connection, key))

    async def reset(self, key: str) -> LeaderboardView:
        """End the running period now and begin the next; the ended one is archived behind it.

        Raises:
            NotFoundError: `leaderboard_not_found`.
        """
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            board = await self._find(connection, key)
            moment = clock.now()
            revision = await self._ledger.next_leaderboards_revision(connection)
            await self._rankings.end_running(connection, board.leaderboard_id, board.epoch, moment)
            board = await self._store.reset(connection, board.leaderboard_id, moment, revision)
            await record(connection, "leaderboard.reset", key, after={"period_began_at": moment})
        await self._announce()
        return view(board)

    async def remove_user(self, key: str, user_id: str) -> None:
        """Take a user off the board's running periods. Later scores count anew.

        Raises:
            NotFoundError: `leaderboard_not_found`, or `not_ranked` when the user is on none of them.
        """
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            board = await self._find(connection, key)
            rankings = await self._rankings.list_parts(connection, board.leaderboard_id)
            ranking_ids = [ranking.ranking_id for ranking in rankings]
            removed = await self._entries.remove(connection, ranking_ids, user_id) if is_user_id(user_id) else []
            if not removed:
                raise NotFoundError("not_ranked", f"This player has no entry on the leaderboard {key!r}.")
            await self._entries.record_removal(connection, board.leaderboard_id, user_id, clock.now())
            before = {"user_id": user_id, "scores": [entry.score for entry in removed]}
            await record(connection, "leaderboard.remove_user", key, before=before, after={"user_id": user_id})
            # Before the commit: were it lost after it, the user would stay in the rank index.
            try:
                await self._index.remove(removed)
            except OUT_OF_REACH as error:
                raise UnavailableError("The rank index cannot be reached right now; try again.") from error
        await self._removed(removed)

    async def delete(self, key: str) -> None:
        """Delete a board; its key is free at once. Entries go behind, and a board made anew begins empty.

        Raises:
            NotFoundError: `leaderboard_not_found`.
            ConflictError: `leaderboard_protected` for `global`, which always exists.
        """
        if key == GLOBAL_KEY:
            raise ConflictError("leaderboard_protected", "The leaderboard 'global' always exists.")
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            board = await self._find(connection, key)
            revision = await self._ledger.next_leaderboards_revision(connection)
            await self._rankings.drop(connection, board.leaderboard_id, None)
            await self._store.delete(connection, board.leaderboard_id, revision)
            await record(connection, "leaderboard.delete", key, before=board.definition)
        await self._announce()

    async def _put(self, key: str, definition: LeaderboardDefinition) -> tuple[Leaderboard, bool]:
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            held = await self._store.find(connection, key)
            changes_rules = held is not None and held.definition.rules() != definition.rules()
            # Equal definitions may still differ in their rules: to Python, a condition of 1 equals one of true.
            if held is not None and not changes_rules and held.definition == definition:
                return held, False
            if held is not None and changes_rules and await self._has_entries(connection, held):
                raise ConflictError(
                    "leaderboard_has_entries",
                    "What decides scores cannot change under existing entries; replay the board with the new rule, "
                    "reset it, or delete it.",
                )
            revision = await self._ledger.next_leaderboards_revision(connection)
            if held is None:
                board = await self._store.insert(connection, key, definition, revision)
            elif changes_rules:
                epoch = await self._store.new_epoch(connection)
                await self._rankings.drop(connection, held.leaderboard_id, epoch)
                began_at = await self._rankings.newest_archive_end(connection, held.leaderboard_id)
                board = await self._store.swap(
                    connection, held.leaderboard_id, definition, epoch, began_at, revision, holds_stored=False
                )
            else:
                board = await self._store.update(connection, held.leaderboard_id, definition, revision)
            before = None if held is None else held.definition
            await record(connection, "leaderboard.put", key, before=before, after=definition)
        await self._announce()
        return board, held is None

    async def _has_entries(self, connection: "Connection[Any]", board: Leaderboard) -> bool:
        rankings = await self._rankings.list_parts(connection, board.leaderboard_id)
        return await self._entries.has_any(connection, [ranking.ranking_id for ranking in rankings])

    async def _find(self, connection: "Connection[Any]", key: str) -> Leaderboard:
        board = await self._store.find(connection, key) if is_key(key) else None
        if board is None:
            raise NotFoundError("leaderboard_not_found", f"There is no leaderboard {key!r}.")
        return board

    async def _announce(self) -> None:
        # The change stands whatever fails here; processes look for changes by themselves every few seconds.
        try:
            if self._catalog is not None:
                async with self._database.connection() as connection:
                    await self._catalog.refresh(connection)
        except UnavailableError as error:
            _log.warning("change_not_read_back", error=error.detail)
        try:
            await self._changes.leaderboards()
            await self._changes.periods()
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))

    async def _removed(self, entries: Sequence[Entry]) -> None:
        try:
            # Once more: an index that was lost meanwhile may have been rebuilt from what was there before the commit.
            await self._index.remove(entries)
            await self._changes.rankings({entry.ranking_id for entry in entries})
        except (ValkeyError, OSError) as error:
            _log.warning("change_not_announced", error=str(error))


def view(board: Leaderboard) -> LeaderboardView:
    """Return the served form of a board."""
    return LeaderboardView(
        key=board.key,
        period_ends_at=board.schedule.at(clock.now()).end,
        **{name: getattr(board.definition, name) for name in LeaderboardDefinition.__struct_fields__},
    )
