"""Lists definitions from memory: what has changed since the last call is read, everything else is kept as served."""

import asyncio
from bisect import bisect_right
from datetime import datetime
from typing import NamedTuple

import msgspec

from grandstand import clock
from grandstand.domain.definitions import is_key
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.list_cursors import check_limit
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.operations.define_leaderboard import view
from grandstand.storage.postgres import Database

LIST_MAX = 1000
_MADE_AT_ONCE = 20


class EncodedList(msgspec.Struct):
    """Definitions in the order of their keys, each as JSON already, and where the list goes on (null at the end)."""

    leaderboards: list[msgspec.Raw]
    next_cursor: str | None


class _Kept(NamedTuple):
    board: Leaderboard
    ends_at: datetime | None
    encoded: msgspec.Raw


class LeaderboardLister:
    """Lists for one process."""

    def __init__(self, catalog: LeaderboardCatalog, database: Database) -> None:
        self._catalog = catalog
        self._database = database
        self._kept: dict[str, _Kept] = {}

    async def list(self, *, public_only: bool = False, limit: int = LIST_MAX, cursor: str | None = None) -> EncodedList:
        """Return up to `limit` definitions, from the first on or from where `cursor` continues.

        Raises:
            InvalidError: a limit out of range, or no cursor of this list.
            UnavailableError: the database is out of reach.
        """
        check_limit(limit, LIST_MAX)
        if cursor is not None and not is_key(cursor):
            raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")])
        async with self._database.connection() as connection:
            # What was changed through another process a moment ago is in the list, too.
            await self._catalog.refresh(connection)
        boards = self._catalog.all()
        start = 0 if cursor is None else bisect_right(boards, cursor, key=lambda board: board.key)
        shown: list[msgspec.Raw] = []
        last, made = "", 0
        for number in range(start, len(boards)):
            board = boards[number]
            if board.windows is not None or (public_only and board.definition.visibility != "public"):
                continue
            if len(shown) == limit:
                return EncodedList(shown, last)
            encoded, is_new = self._encoded(board)
            shown.append(encoded)
            last = board.key
            made += is_new
            if is_new and made % _MADE_AT_ONCE == 0:
                # Thousands of new ones, or of periods that have just begun, do not hold up other requests.
                await asyncio.sleep(0)
        return EncodedList(shown, None)

    def _encoded(self, board: Leaderboard) -> tuple[msgspec.Raw, bool]:
        """Return a definition as JSON, and whether it had to be made."""
        kept = self._kept.get(board.key)
        if kept is not None and kept.board is board and (kept.ends_at is None or clock.now() < kept.ends_at):
            return kept.encoded, False
        shown = view(board)
        if len(self._kept) > 2 * len(self._catalog.all()) + LIST_MAX:
            self._kept = {}
        self._kept[board.key] = _Kept(board, shown.period_ends_at, msgspec.Raw(msgspec.json.encode(shown)))
        return self._kept[board.key].encoded, True
