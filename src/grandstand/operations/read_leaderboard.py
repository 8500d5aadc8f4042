"""Reads ranks: pages, one user, the neighbourhood of a user, and a list of users.

The rank index answers; while it is not complete PostgreSQL does, from the entries, and the ranking is put on the list
of those to rebuild. No answer ever comes from an incomplete index.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec

from grandstand import clock
from grandstand.domain.cursors import read_cursor, write_cursor
from grandstand.domain.errors import FieldError, InvalidError, NotFoundError
from grandstand.domain.leaderboards import Leaderboard, Visibility, is_key
from grandstand.domain.ranking import percentile, read_member
from grandstand.operations.catalog import LeaderboardCatalog
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.leaderboards import LeaderboardStore
from grandstand.storage.postgres import Database
from grandstand.storage.ranking_index import IndexedEntry, IndexIncompleteError, RankingIndex, Window

PAGE_MAX = 1000
NEARBY_MAX = 100
LOOKUP_MAX = 200
RANK_MAX = 2**53


class RankedEntry(msgspec.Struct, kw_only=True):
    """One player's place on a board."""

    rank: int
    user_id: str
    display_name: str | None = None
    score: int
    achieved_at: datetime


class Page(msgspec.Struct, kw_only=True):
    """A stretch of a board. `user` is present when a user was named: that player's own entry, or null."""

    leaderboard: str
    period: str
    period_ends_at: datetime | None
    total: int
    as_of: datetime
    user: RankedEntry | msgspec.UnsetType | None = msgspec.UNSET
    entries: list[RankedEntry]
    next_cursor: str | None


class UserRank(msgspec.Struct, kw_only=True):
    """One player's rank; `percentile` is the share, in percent, of ranked players that the player is at or above."""

    rank: int
    user_id: str
    display_name: str | None = None
    score: int
    achieved_at: datetime
    total: int
    percentile: float


class Lookup(msgspec.Struct, kw_only=True):
    """The ranks of several players, in the order of ranks, and who of them is not ranked, in the order asked for."""

    leaderboard: str
    period: str
    total: int
    as_of: datetime
    entries: list[RankedEntry]
    not_ranked: list[str]


class LeaderboardReader:
    """Answers every read of a board. Raises `NotFoundError` `leaderboard_not_found` for keys that no board has."""

    def __init__(
        self,
        catalog: LeaderboardCatalog,
        database: Database,
        store: LeaderboardStore,
        index: RankingIndex,
        entry_reads: EntryReads,
        feed: ChangeFeed,
    ) -> None:
        self._catalog = catalog
        self._database = database
        self._store = store
        self._index = index
        self._entry_reads = entry_reads
        self._feed = feed

    async def visibility(self, key: str) -> Visibility:
        """Return who may read the board."""
        return (await self._find(key)).definition.visibility

    def generation(self, key: str) -> int | None:
        """Return a number that changes with every known change of the board; None when changes may go unheard.

        Nothing read under another generation is current, so caches ask this first.
        """
        board = self._catalog.get(key)
        if board is None:
            return None
        generation = self._feed.generation(board.ranking_id)
        return None if generation is None else hash((board.ranking_id, board.revision, generation))

    async def page(
        self,
        key: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        from_rank: int | None = None,
        user_id: str | None = None,
    ) -> Page:
        """Read `limit` entries from the top, from a rank, or from where `cursor` continues.

        Raises:
            InvalidError: a value out of its range, a cursor of another board, or both a cursor and a rank.
            UnavailableError: neither the rank index nor the database can answer right now.

        """
        _check_range("limit", limit, 1, PAGE_MAX)
        if cursor is not None and from_rank is not None:
            raise InvalidError([FieldError("from_rank", "cannot be combined with cursor")])
        board = await self._find(key)
        own = user_id if user_id is not None and _can_exist(user_id) else ""
        # One more than asked for tells whether there is a next page.
        if cursor is not None:
            position = read_cursor(cursor, board.ranking_id)
            window = await self._ask(
                board,
                lambda: self._index.after(board.ranking_id, position, limit + 1, own),
                lambda: self._entry_reads.after(board.ranking_id, board.direction, position, limit + 1, own),
            )
        else:
            rank = 1 if from_rank is None else from_rank
            _check_range("from_rank", rank, 1, RANK_MAX)
            window = await self._ask(
                board,
                lambda: self._index.from_rank(board.ranking_id, rank, limit + 1, own),
                lambda: self._entry_reads.from_rank(board.ranking_id, board.direction, rank, limit + 1, own),
            )
        page = _page(board, window, limit)
        if user_id is not None:
            page.user = None if window.own is None else _ranked(board, window.own)
        return page

    async def user(self, key: str, user_id: str) -> UserRank:
        """Read one player's rank.

        Raises:
            NotFoundError: `not_ranked` when the player has no entry on the board.
            UnavailableError: as for `page`.

        """
        board, window, own = await self._around(key, user_id, 0, 0)
        entry = _ranked(board, own)
        return UserRank(
            rank=entry.rank,
            user_id=entry.user_id,
            display_name=entry.display_name,
            score=entry.score,
            achieved_at=entry.achieved_at,
            total=window.total,
            percentile=percentile(entry.rank, window.total),
        )

    async def nearby(self, key: str, user_id: str, *, above: int = 5, below: int = 5) -> Page:
        """Read a player's entry with up to `above` better and `below` worse ones.

        Raises:
            InvalidError: `above` or `below` is negative or more than 100.
            NotFoundError: `not_ranked` when the player has no entry on the board.
            UnavailableError: as for `page`.

        """
        _check_range("above", above, 0, NEARBY_MAX)
        _check_range("below", below, 0, NEARBY_MAX)
        board, window, own = await self._around(key, user_id, above, below)
        page = _page(board, window, len(window.entries))
        page.user = _ranked(board, own)
        return page

    async def lookup(self, key: str, user_ids: Sequence[str]) -> Lookup:
        """Read the ranks of up to 200 players; naming one twice counts once.

        Raises:
            InvalidError: more than 200 players.
            UnavailableError: as for `page`.

        """
        if len(user_ids) > LOOKUP_MAX:
            raise InvalidError([FieldError("user_ids", f"has {len(user_ids)} users; at most {LOOKUP_MAX} are taken")])
        board = await self._find(key)
        named = list(dict.fromkeys(user_ids))
        wanted = [user_id for user_id in named if _can_exist(user_id)]
        window = await self._ask(
            board,
            lambda: self._index.lookup(board.ranking_id, wanted),
            lambda: self._entry_reads.lookup(board.ranking_id, board.direction, wanted),
        )
        entries = [_ranked(board, entry) for entry in window.entries]
        ranked = {entry.user_id for entry in entries}
        return Lookup(
            leaderboard=board.key,
            period=board.definition.period,
            total=window.total,
            as_of=clock.now(),
            entries=entries,
            not_ranked=[user_id for user_id in named if user_id not in ranked],
        )

    async def _around(self, key: str, user_id: str, above: int, below: int) -> tuple[Leaderboard, Window, IndexedEntry]:
        board = await self._find(key)
        if _can_exist(user_id):
            window = await self._ask(
                board,
                lambda: self._index.around(board.ranking_id, user_id, above, below),
                lambda: self._entry_reads.around(board.ranking_id, board.direction, user_id, above, below),
            )
            if window.own is not None:
                return board, window, window.own
        raise NotFoundError("not_ranked", f"This player has no entry on the leaderboard {board.key!r}.")

    async def _find(self, key: str) -> Leaderboard:
        board = self._catalog.get(key)
        if board is not None:
            return board
        # It may have been made a moment ago through another process.
        if is_key(key):
            async with self._database.connection() as connection:
                board = await self._store.find(connection, key)
        if board is None:
            raise NotFoundError("leaderboard_not_found", f"There is no leaderboard {key!r}.")
        return board

    async def _ask(
        self,
        board: Leaderboard,
        index: Callable[[], Awaitable[Window]],
        entries: Callable[[], Awaitable[Window]],
    ) -> Window:
        try:
            return await index()
        except IndexIncompleteError:
            await self._index.request_rebuild(board.ranking_id)
            return await entries()


def _can_exist(user_id: str) -> bool:
    """Whether a stored user can have this id; the engines refuse to be asked about NUL and lone surrogates."""
    try:
        return b"\x00" not in user_id.encode()
    except UnicodeEncodeError:
        return False


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidError([FieldError(name, f"must be between {least} and {most}")])


def _page(board: Leaderboard, window: Window, limit: int) -> Page:
    entries = window.entries[:limit]
    has_more = len(window.entries) > limit
    return Page(
        leaderboard=board.key,
        period=board.definition.period,
        period_ends_at=None,
        total=window.total,
        as_of=clock.now(),
        entries=[_ranked(board, entry) for entry in entries],
        next_cursor=write_cursor(board.ranking_id, entries[-1].position) if has_more else None,
    )


def _ranked(board: Leaderboard, entry: IndexedEntry) -> RankedEntry:
    achieved_at, user_id = read_member(entry.position.member)
    return RankedEntry(
        rank=entry.rank, user_id=user_id, score=entry.position.position_score * board.direction, achieved_at=achieved_at
    )
