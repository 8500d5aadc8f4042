"""Makes, changes and deletes boards. A change takes effect between two batches, never in the middle of one."""

import contextlib
from collections.abc import Awaitable

import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand.domain.errors import ConflictError, NotFoundError, UnavailableError
from grandstand.domain.leaderboards import (
    GLOBAL_DEFINITION,
    GLOBAL_KEY,
    Leaderboard,
    LeaderboardDefinition,
    check_key,
    is_key,
    parse_definition,
)
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.storage.changes import Changes
from grandstand.storage.entries import EntryStore
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import RankingIndex

_log = structlog.get_logger(__name__)


class LeaderboardView(msgspec.Struct, kw_only=True):
    """A board's definition as it is served: every field, with the defaults filled in."""

    key: str
    title: str | None
    event_type: str
    field: str | None
    where: dict[str, str | int | float | bool | None] | None
    operator: str
    order: str
    period: str
    timezone: str
    visibility: str
    min_score: int | None
    max_score: int | None


class LeaderboardDefiner:
    """Changes definitions for one process; every other process hears of it at once.

    A given `catalog` knows of a change before the change returns: who has just made a board private, or deleted it,
    must not be able to read it here.
    """

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        store: LeaderboardStore,
        entries: EntryStore,
        index: RankingIndex,
        changes: Changes,
        catalog: LeaderboardCatalog | None = None,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._store = store
        self._entries = entries
        self._index = index
        self._changes = changes
        self._catalog = catalog

    async def put(self, key: str, body: bytes) -> tuple[LeaderboardView, bool]:
        """Create the board, or change it; return it and whether it is new.

        Events count from when this returns. Whatever decides scores can change only while the board has no entries,
        so two rules are never mixed on one board.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value or key.
            ConflictError: `leaderboard_has_entries` when the rules would change under existing entries.
            UnavailableError: the database is out of reach.

        """
        check_key(key)
        board, is_new = await self._put(key, parse_definition(body))
        return view(board), is_new

    async def ensure_global(self) -> None:
        """Create the board `global` when it is missing.

        Raises:
            UnavailableError: the database is out of reach.

        """
        async with self._database.connection() as connection:
            board = await self._store.find(connection, GLOBAL_KEY)
        if board is None:
            await self._put(GLOBAL_KEY, GLOBAL_DEFINITION)

    async def get(self, key: str) -> LeaderboardView:
        """Return a board's definition.

        Raises:
            NotFoundError: `leaderboard_not_found`.
            UnavailableError: the database is out of reach.

        """
        async with self._database.connection() as connection:
            board = await self._store.find(connection, key) if is_key(key) else None
        if board is None:
            raise _not_found(key)
        return view(board)

    async def list(self) -> list[LeaderboardView]:
        """Return every board in the order of keys.

        Raises:
            UnavailableError: the database is out of reach.

        """
        async with self._database.connection() as connection:
            boards, _ = await self._store.changed_since(connection, 0)
        return [view(board) for board in sorted(boards, key=lambda board: board.key)]

    async def delete(self, key: str) -> None:
        """Delete a board; its key is free at once. Entries go behind, and a board made anew begins empty.

        Raises:
            NotFoundError: `leaderboard_not_found`.
            ConflictError: `leaderboard_protected` for `global`, which always exists.
            UnavailableError: the database is out of reach.

        """
        if key == GLOBAL_KEY:
            raise ConflictError("leaderboard_protected", "The leaderboard 'global' always exists.")
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            board = await self._store.find(connection, key) if is_key(key) else None
            if board is None:
                raise _not_found(key)
            revision = await self._ledger.next_leaderboards_revision(connection)
            await self._store.delete(connection, board.leaderboard_id, revision)
        await self._tell_all()

    async def _put(self, key: str, definition: LeaderboardDefinition) -> tuple[Leaderboard, bool]:
        async with self._database.transaction() as connection:
            await self._ledger.seize(connection)
            held = await self._store.find(connection, key)
            changes_rules = held is not None and held.definition.rules() != definition.rules()
            # Equal definitions may still differ in their rules: to Python, a condition of 1 equals one of true.
            if held is not None and not changes_rules and held.definition == definition:
                return held, False
            if held is not None and changes_rules and await self._entries.has_any(connection, held.ranking_id):
                raise ConflictError(
                    "leaderboard_has_entries",
                    "What decides scores cannot change while the leaderboard has entries; delete it first.",
                )
            revision = await self._ledger.next_leaderboards_revision(connection)
            if held is None:
                board = await self._store.insert(connection, key, definition, revision)
                # Before the commit no worker knows the ranking: whatever Valkey loses later, the mark goes with it.
                await self._tell(self._index.complete_new(board.ranking_id))
            else:
                board = await self._store.update(connection, held.leaderboard_id, definition, revision)
        await self._tell_all()
        return board, held is None

    async def _tell_all(self) -> None:
        await self._tell(self._changes.leaderboards())
        if self._catalog is not None:
            with contextlib.suppress(UnavailableError):
                async with self._database.connection() as connection:
                    await self._catalog.refresh(connection)

    async def _tell(self, news: Awaitable[None]) -> None:
        try:
            await news
        except (ValkeyError, OSError) as error:
            # The definition stands. Processes look for changes by themselves, and the rank index is made by a rebuild.
            _log.warning("change_not_announced", error=str(error))


def view(board: Leaderboard) -> LeaderboardView:
    """Return the served form of a board."""
    return LeaderboardView(
        key=board.key,
        **{name: getattr(board.definition, name) for name in LeaderboardDefinition.__struct_fields__},
    )


def _not_found(key: str) -> NotFoundError:
    return NotFoundError("leaderboard_not_found", f"There is no leaderboard {key!r}.")
