"""Entries of a ranking as readers see them: with names, metadata and tiers."""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import msgspec

from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.ranking import read_member, read_user
from grandstand.operations.leaderboard_views import RankedEntry
from grandstand.operations.player_names import PlayerNames
from grandstand.storage.windows import IndexedEntry


async def view_entries(
    names: PlayerNames, board: Leaderboard, total: int, entries: Sequence[IndexedEntry]
) -> list[RankedEntry]:
    """Return the views of entries of a ranking with `total` entries."""
    named = await names.find([read_user(entry.position.member, board.tie_bytes) for entry in entries])
    return views_of(named, board, total, entries)


def views_of(
    named: Mapping[str, str | None], board: Leaderboard, total: int, entries: Sequence[IndexedEntry]
) -> list[RankedEntry]:
    """Return the views of entries of players whose display names are known."""
    members = [read_member(entry.position.member, board.tie_bytes) for entry in entries]
    tier_of = _tiers(board, total)
    has_metadata = bool(board.definition.keep)
    return [
        RankedEntry(
            rank=entry.rank,
            user_id=user_id,
            display_name=named[user_id],
            score=entry.position.position_score * board.direction,
            achieved_at=achieved_at,
            metadata=msgspec.json.decode(entry.metadata or "{}") if has_metadata else msgspec.UNSET,
            tier=msgspec.UNSET if tier_of is None else tier_of(entry.rank, entry.position.position_score),
        )
        for entry, (_, achieved_at, user_id) in zip(entries, members, strict=True)
    ]


def _tiers(board: Leaderboard, total: int) -> Callable[[int, int], str | None] | None:
    """Return what tells the tier of an entry by its rank and position score; None for a board without tiers."""
    tiers = board.definition.tiers
    if not tiers:
        return None
    # Exact: 1.1 percent of 3,000 players are 33, where floats make it a little more, and so 34.
    ranks = [
        (tier.id, math.ceil(total * Fraction(str(tier.top_percent)) / 100))
        for tier in tiers
        if tier.top_percent is not None
    ]
    scores = [(tier.id, tier.min_score * board.direction) for tier in tiers if tier.min_score is not None]

    def tier_of(rank: int, position_score: int) -> str | None:
        for tier_id, last_rank in ranks:
            if rank <= last_rank:
                return tier_id
        for tier_id, last_position in scores:
            if position_score <= last_position:
                return tier_id
        return None

    return tier_of
