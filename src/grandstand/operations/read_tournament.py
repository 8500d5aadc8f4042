"""Reads the ranks of tournaments: those of boards, for one occurrence; and who would get what if it ended now."""

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec

from grandstand.domain.errors import NotFoundError
from grandstand.domain.leaderboards import Visibility, tournament_key
from grandstand.domain.periods import period_id
from grandstand.operations.answer_cache import Mark
from grandstand.operations.find_ranking import Part
from grandstand.operations.known_tournaments import KnownTournaments
from grandstand.operations.leaderboard_views import Lookup, Page, RankedEntry, UserRank
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.route_reads import Reads
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.prizes import Award, PrizeStore
from grandstand.storage.tournaments import Tournament, TournamentStore

PREVIEW_MAX = 1_000


class TournamentRank(msgspec.Struct, kw_only=True):
    """One player's rank in an occurrence; `attempts` counts the scoring events that were taken."""

    tournament_id: str
    occurrence: int
    rank: int
    user_id: str
    display_name: str | None
    score: int
    achieved_at: datetime
    total: int
    percentile: float
    attempts: int


class PreviewedPrize(msgspec.Struct, kw_only=True):
    """What one player would get by one rule."""

    rank: int
    user_id: str
    rule: int
    kind: str
    amount: int


class Preview(msgspec.Struct, kw_only=True):
    """Who would get what if the occurrence were settled now; the first `PREVIEW_MAX` prizes, and how many in all."""

    tournament_id: str
    occurrence: int
    players: int
    total_prizes: int
    total_amounts: dict[str, int]
    prizes: list[PreviewedPrize]


class TournamentReader:
    """Answers reads of tournaments for one process; raises what reads of boards raise, and `tournament_not_found`."""

    def __init__(
        self,
        database: Database | Reads,
        tournaments: TournamentStore,
        known: KnownTournaments,
        prizes: PrizeStore,
        reader: LeaderboardReader,
    ) -> None:
        self._database = database
        self._tournaments = tournaments
        self._known = known
        self._prizes = prizes
        self._reader = reader

    async def visibility(self, tournament_id: str) -> Visibility:
        """Return who may read the tournament."""
        return (await self._find(tournament_id, None)).definition.visibility

    async def page(
        self,
        tournament_id: str,
        *,
        occurrence: int | None = None,
        limit: int = 100,
        cursor: str | None = None,
        from_rank: int | None = None,
        user_id: str | None = None,
    ) -> Page:
        """Read a page of an occurrence's ranks."""
        item = await self._find(tournament_id, occurrence)
        page = await self._reader.page(
            tournament_key(tournament_id),
            limit=limit,
            cursor=cursor,
            from_rank=from_rank,
            user_id=user_id,
            part=_part(item),
        )
        return _named(page, item)

    async def user(self, tournament_id: str, user_id: str, *, occurrence: int | None = None) -> TournamentRank:
        """Read one player's rank and attempts."""
        item = await self._find(tournament_id, occurrence)
        with _named_as(item):
            rank: UserRank = await self._reader.user(tournament_key(tournament_id), user_id, part=_part(item))
        participant = await self._database.read(
            lambda connection: self._tournaments.find_participant(connection, tournament_id, item.occurrence, user_id)
        )
        return TournamentRank(
            tournament_id=tournament_id,
            occurrence=item.occurrence,
            rank=rank.rank,
            user_id=rank.user_id,
            display_name=rank.display_name,
            score=rank.score,
            achieved_at=rank.achieved_at,
            total=rank.total,
            percentile=rank.percentile,
            attempts=0 if participant is None else participant.attempts,
        )

    async def nearby(
        self, tournament_id: str, user_id: str, *, occurrence: int | None = None, above: int = 5, below: int = 5
    ) -> Page:
        """Read the ranks around a player."""
        item = await self._find(tournament_id, occurrence)
        with _named_as(item):
            page = await self._reader.nearby(
                tournament_key(tournament_id), user_id, above=above, below=below, part=_part(item)
            )
        return _named(page, item)

    async def lookup(self, tournament_id: str, user_ids: Sequence[str], *, occurrence: int | None = None) -> Lookup:
        """Read the ranks of up to 200 players."""
        item = await self._find(tournament_id, occurrence)
        found = await self._reader.lookup(tournament_key(tournament_id), user_ids, part=_part(item))
        found.leaderboard = tournament_id
        return found

    def generation(self, tournament_id: str, period: str) -> int | None:
        """Return a number that changes with every known change of one occurrence, or of the tournament; or None.

        `period` is that of a page of the occurrence.
        """
        return self._reader.generation(tournament_key(tournament_id), Part(period))

    async def marking(self, tournament_id: str, occurrence: int | None) -> Mark:
        """Return what tells of changes of an occurrence's ranks, or of which occurrence is meant; see `AnswerCache`."""
        # Asked first: a step that is taken meanwhile makes the mark one that is not in force any more.
        known = self._known.generation()
        period = _part(await self._find(tournament_id, occurrence)).period or ""

        def mark() -> Hashable | None:
            if known is None or self._known.generation() != known:
                return None
            entries = self.generation(tournament_id, period)
            return None if entries is None else (known, entries)

        return mark

    async def preview(self, tournament_id: str, *, occurrence: int | None = None) -> Preview:
        """Return who would get what if the occurrence were settled now; when it is, who was awarded what."""
        item = await self._known.read(tournament_id, occurrence, server="primary")
        if item.status == "settled":
            return await self._awarded(item)
        players = (await self.page(tournament_id, occurrence=occurrence, limit=1)).total
        prizes: list[PreviewedPrize] = []
        amounts: dict[str, int] = {}
        count = 0
        # Nobody gets anything of what was cancelled.
        for number, rule in enumerate(item.definition.prizes if item.status != "cancelled" else ()):
            first, last = rule.ranks(players)
            if first > last:
                continue
            count += last - first + 1
            amounts[rule.kind] = amounts.get(rule.kind, 0) + rule.amount * (last - first + 1)
            shown = min(last, first + PREVIEW_MAX - 1 - len(prizes))
            prizes += [
                PreviewedPrize(rank=entry.rank, user_id=entry.user_id, rule=number, kind=rule.kind, amount=rule.amount)
                for entry in await self._ranks(tournament_id, item, first, shown)
            ]
        return Preview(
            tournament_id=tournament_id,
            occurrence=item.occurrence,
            players=players,
            total_prizes=count,
            total_amounts=amounts,
            prizes=prizes,
        )

    async def _awarded(self, item: Tournament) -> Preview:
        name = (item.tournament_id, item.occurrence)
        players = (await self.page(item.tournament_id, occurrence=item.occurrence, limit=1)).total

        async def read(connection: "Connection[Any]") -> tuple[int, dict[str, int], Sequence[Award]]:
            count, amounts = await self._prizes.sum_of_occurrence(connection, *name)
            return count, amounts, await self._prizes.list_of_occurrence(connection, *name, PREVIEW_MAX)

        count, amounts, awards = await self._database.read(read, in_snapshot=True, server="primary")
        return Preview(
            tournament_id=item.tournament_id,
            occurrence=item.occurrence,
            players=players,
            total_prizes=count,
            total_amounts=amounts,
            prizes=[PreviewedPrize(**award._asdict()) for award in awards],
        )

    async def _ranks(self, tournament_id: str, item: Tournament, first: int, last: int) -> list[RankedEntry]:
        if last < first:
            return []
        page = await self.page(tournament_id, occurrence=item.occurrence, limit=last - first + 1, from_rank=first)
        return page.entries

    async def _find(self, tournament_id: str, occurrence: int | None) -> Tournament:
        return await self._known.find(tournament_id, occurrence)


def _part(item: Tournament) -> Part:
    return Part(period=period_id(item.starts_at))


@contextmanager
def _named_as(item: Tournament) -> Iterator[None]:
    """Say what is missing of the tournament, not of the board behind it."""
    try:
        yield
    except NotFoundError as error:
        if error.code != "not_ranked":
            raise
        raise NotFoundError("not_ranked", f"This player has no rank in {item.tournament_id!r}.") from None


def _named(page: Page, item: Tournament) -> Page:
    page.leaderboard = item.tournament_id
    page.period_ends_at = item.ends_at
    return page
