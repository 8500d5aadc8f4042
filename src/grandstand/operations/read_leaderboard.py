"""Reads ranks: pages, one user, the neighbourhood of a user, a list of users, and the periods of a board.

Which ranking it is says `find_ranking.py`, where its entries are read `ranking_windows.py`, how they are shown
`view_ranks.py`.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

from grandstand import clock
from grandstand.domain.cursors import Place, read_cursor, write_cursor
from grandstand.domain.errors import FieldError, InvalidError, NotFoundError
from grandstand.domain.leaderboards import Leaderboard, Visibility
from grandstand.domain.periods import BEGINNING, LATEST, parse_period_id, period_id
from grandstand.domain.rankings import Ranking
from grandstand.operations.catalog import indexed
from grandstand.operations.find_ranking import Part, RankingFinder, Target, can_exist
from grandstand.operations.leaderboard_views import Lookup, Page, PeriodList, PeriodView, UserRank
from grandstand.operations.player_names import PlayerNames
from grandstand.operations.ranking_windows import RankingWindows
from grandstand.operations.route_reads import Reads
from grandstand.operations.trust_index import IndexTrust
from grandstand.operations.view_entries import Members, read_members, view_entries
from grandstand.operations.view_ranks import lookup_of, neighbours_of, page_of, rank_of
from grandstand.storage.archive import ArchiveStore
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.storage.windows import Window

PAGE_MAX = 1000
NEARBY_MAX = 100
LOOKUP_MAX = 200
RANK_MAX = 2**53

WHOLE_BOARD = Part()


class LeaderboardReader:
    """Answers every read of a board.

    All raise `NotFoundError` (`leaderboard_not_found`, `period_not_found`), `InvalidError` for values out of range, and
    `UnavailableError` when neither the rank index nor the database can answer right now.
    """

    def __init__(
        self,
        finder: RankingFinder,
        database: Database | Reads,
        rankings: RankingStore,
        index: RankingIndex,
        entry_reads: EntryReads,
        archive: ArchiveStore,
        names: PlayerNames,
        trust: IndexTrust,
    ) -> None:
        self._finder = finder
        self._database = database
        self._rankings = rankings
        self._entry_reads = entry_reads
        self._names = names
        self._windows = RankingWindows(database, rankings, index, entry_reads, archive, trust)

    async def visibility(self, key: str) -> Visibility:
        """Return who may read the board."""
        return (await self._finder.board(key)).definition.visibility

    def generation(self, key: str, part: Part = WHOLE_BOARD) -> int | None:
        """Return a number that changes with every known change of the board; None when changes may go unheard.

        Of `part` only the period counts. Nothing read under another generation is current, so caches ask this first.
        """
        return self._finder.generation(key, part)

    async def next_end(self, key: str) -> datetime | None:
        """Return when the running period ends; None for never."""
        return (await self._finder.board(key)).schedule.at(clock.now()).end

    async def is_archived(self, key: str, part: Part) -> bool:
        """Whether a read names a period that is archived: then only new names and erasures change what it says."""
        if part.period is None:
            return False
        target = await self._finder.find(key, Part(part.period), None)
        return target.ranking is not None and target.ranking.state == "archived"

    async def page(
        self,
        key: str,
        *,
        limit: int = 100,
        cursor: str | None = None,
        from_rank: int | None = None,
        user_id: str | None = None,
        part: Part = WHOLE_BOARD,
    ) -> Page:
        """Read `limit` entries from the top, from a rank, or from where `cursor` continues."""
        _check_range("limit", limit, 1, PAGE_MAX)
        if cursor is not None and from_rank is not None:
            raise InvalidError([FieldError("from_rank", "cannot be combined with cursor")])
        rank = 1 if from_rank is None else from_rank
        _check_range("from_rank", rank, 1, RANK_MAX)
        target = await self._finder.find(key, part, user_id)
        own = user_id if user_id is not None and can_exist(user_id) else ""
        # One more than asked for tells whether there is a next page.
        if cursor is None:
            window = await self._windows.from_rank(target, rank, limit + 1, own)
        else:
            # A ranking without entries has given no cursors.
            ranking_id = target.ranking.ranking_id if target.ranking is not None else -1
            place = read_cursor(cursor, ranking_id, target.board.tie_bytes)
            window = await self._windows.after(target, place, limit + 1, own)
        page = await self._page(target, window, limit)
        if user_id is not None:
            page.user = (
                None
                if window.own is None
                else (await view_entries(self._names, target.board, window.total, [window.own]))[0]
            )
        return page

    async def user(self, key: str, user_id: str, *, part: Part = WHOLE_BOARD, is_index_asked: bool = False) -> UserRank:
        """Read one player's rank; from another store than the index if that had no answer.

        Raises:
            NotFoundError: `not_ranked` when the player has no entry on the board.
        """
        target = await self._target(key, user_id, part)
        window = await self._windows.place(target, user_id, is_index_asked=is_index_asked)
        own = window.own
        if own is None:
            raise _not_ranked(key)
        name = (await self._names.find((user_id,)))[user_id]
        bucket = target.bucket
        if target.board.definition.bucket_size is not None and bucket is None and target.ranking is not None:
            bucket = await self._finder.bucket_of(target.ranking, user_id)
        return rank_of(target, window.total, own, name, bucket)

    def known(self, key: str) -> Target | None:
        """Return what a read of the whole board as it runs now is about; None where the other reads have to find it."""
        return self._finder.known(key)

    def tell_user(
        self, target: Target, user_id: str, tell: Callable[[UserRank | Exception | None, bool], None]
    ) -> bool:
        """Read one player's rank as `user` does of what is `known`, and have it told once, never at once.

        The user id is one that can exist. None is told where `user` has to read it, and whether the index was asked and
        had no answer; False, and nothing is told, where that is known already. An error is told and not raised: nobody
        would answer whoever waits.
        """
        named = self._names.known((user_id,))
        if named is None or target.board.definition.bucket_size is not None:
            return False

        def tell_window(window: Window | None, is_index_asked: bool) -> None:
            rank: UserRank | Exception | None = None
            if window is not None:
                own = window.own
                try:
                    rank = (
                        _not_ranked(target.board.key)
                        if own is None
                        else rank_of(target, window.total, own, named[user_id], None)
                    )
                except Exception as error:  # noqa: BLE001 - whatever is wrong with what was read
                    rank = error
            tell(rank, is_index_asked)

        self._windows.tell_place(target, user_id, tell_window)
        return True

    async def nearby(
        self,
        key: str,
        user_id: str,
        *,
        above: int = 5,
        below: int = 5,
        part: Part = WHOLE_BOARD,
        is_index_asked: bool = False,
    ) -> Page:
        """Read a player's entry with up to `above` better and `below` worse ones.

        From another store than the index if that was asked and had no answer.

        Raises:
            NotFoundError: `not_ranked` when the player has no entry on the board.
        """
        _check_range("above", above, 0, NEARBY_MAX)
        _check_range("below", below, 0, NEARBY_MAX)
        target = await self._target(key, user_id, part)
        window = await self._windows.around(target, user_id, above, below, is_index_asked=is_index_asked)
        if window.own is None:
            raise _not_ranked(key)
        return await self._neighbours(target, window, read_members(target.board, window.entries))

    def tell_nearby(
        self,
        target: Target,
        user_id: str,
        above: int,
        below: int,
        tell: Callable[[Page | Awaitable[Page] | Exception | None, bool], None],
    ) -> bool:
        """Read a neighbourhood as `nearby` does of what is `known`, and have it told once, never at once.

        The user id is one that can exist. Of neighbours whose names are not in memory an awaitable is told that looks
        them up; None where `nearby` has to read it, and whether the index was asked and had no answer; an error as by
        `tell_user`. False, and nothing is told, where `nearby` would refuse the numbers.
        """
        if not (0 <= above <= NEARBY_MAX and 0 <= below <= NEARBY_MAX):
            return False

        def tell_window(window: Window | None, is_index_asked: bool) -> None:
            told: Page | Awaitable[Page] | Exception | None = None
            if window is not None:
                try:
                    told = self._told_neighbours(target, window)
                except Exception as error:  # noqa: BLE001 - as above
                    told = error
            tell(told, is_index_asked)

        self._windows.tell_place(target, user_id, tell_window, above, below)
        return True

    def _told_neighbours(self, target: Target, window: Window) -> Page | Awaitable[Page] | NotFoundError:
        if window.own is None:
            return _not_ranked(target.board.key)
        members = read_members(target.board, window.entries)
        named = self._names.known([user_id for _, _, user_id in members])
        if named is None:
            return self._neighbours(target, window, members)
        return neighbours_of(target, window, members, named)

    async def _neighbours(self, target: Target, window: Window, members: Members) -> Page:
        named = await self._names.find([user_id for _, _, user_id in members])
        return neighbours_of(target, window, members, named)

    async def lookup(self, key: str, user_ids: Sequence[str], *, part: Part = WHOLE_BOARD) -> Lookup:
        """Read the ranks of up to 200 players; naming one twice counts once."""
        if len(user_ids) > LOOKUP_MAX:
            raise InvalidError([FieldError("user_ids", f"has {len(user_ids)} users; at most {LOOKUP_MAX} are taken")])
        target = await self._finder.find(key, part, None)
        named = list(dict.fromkeys(user_ids))
        wanted = [user_id for user_id in named if can_exist(user_id)]
        window = await self._windows.lookup(target, wanted)
        entries = await view_entries(self._names, target.board, window.total, window.entries)
        return lookup_of(target, window.total, entries, named)

    async def periods(self, key: str, *, limit: int = 100, cursor: str | None = None) -> PeriodList:
        """Read the periods of a board that have ended, newest first."""
        _check_range("limit", limit, 1, PAGE_MAX)
        board = await self._finder.board(key)
        before = LATEST if cursor is None else parse_period_id(cursor)
        if before is None:
            raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")])

        async def read(connection: "Connection[Any]") -> PeriodList:
            rankings = await self._rankings.list_ended(
                connection, board.leaderboard_id, board.epoch, now=clock.now(), before=before, count_max=limit + 1
            )
            views = [await self._period(connection, board, ranking) for ranking in rankings[:limit]]
            return PeriodList(periods=views, next_cursor=views[-1].id if len(rankings) > limit else None)

        return await self._database.read(read)

    async def _period(self, connection: "Connection[Any]", board: Leaderboard, ranking: Ranking) -> PeriodView:
        total = ranking.total
        if total is None:
            total = await self._entry_reads.total(connection, indexed(board, ranking.ranking_id))
        started_at = ranking.name.started_at
        return PeriodView(
            id=period_id(started_at),
            started_at=None if started_at == BEGINNING else started_at,
            ended_at=ranking.ended_at,
            total=total,
        )

    async def _target(self, key: str, user_id: str, part: Part) -> Target:
        if not can_exist(user_id):
            await self._finder.board(key)
            raise _not_ranked(key)
        return await self._finder.find(key, part, user_id)

    async def _page(self, target: Target, window: Window, limit: int) -> Page:
        entries = window.entries[:limit]
        cursor = None
        if len(window.entries) > limit and target.ranking is not None:
            cursor = write_cursor(target.ranking.ranking_id, Place(entries[-1].position, entries[-1].rank))
        return page_of(
            target, window.total, await view_entries(self._names, target.board, window.total, entries), cursor
        )


def _not_ranked(key: str) -> NotFoundError:
    return NotFoundError("not_ranked", f"This player has no entry on the leaderboard {key!r}.")


def _check_range(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise InvalidError([FieldError(name, f"must be between {least} and {most}")])
