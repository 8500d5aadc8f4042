"""Entries of a ranking as readers see them: with names, metadata and tiers."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

import msgspec

from grandstand.domain.leaderboards import Leaderboard
from grandstand.domain.ranking import read_member
from grandstand.operations.leaderboard_views import RankedEntry
from grandstand.operations.player_names import PlayerNames
from grandstand.storage.windows import IndexedEntry

Members = Sequence[tuple[bytes, datetime, str]]
"""What `read_member` says of entries."""


async def view_entries(
    names: PlayerNames, board: Leaderboard, total: int, entries: Sequence[IndexedEntry]
) -> list[RankedEntry]:
    """Return the views of entries of a ranking with `total` entries."""
    members = read_members(board, entries)
    return named_views(board, total, entries, members, await names.find([user_id for _, _, user_id in members]))


def read_members(board: Leaderboard, entries: Sequence[IndexedEntry]) -> Members:
    """Return what the members of entries say."""
    tie_bytes = board.tie_bytes
    return [read_member(member, tie_bytes) for _, (_, member), _ in entries]


def named_views(
    board: Leaderboard,
    total: int,
    entries: Sequence[IndexedEntry],
    members: Members,
    named: Mapping[str, str | None],
) -> list[RankedEntry]:
    """Return the views of entries of a ranking with `total` entries, of which this was read and who have these names.

    Neighbourhoods and pages make several ten thousand of them a second, so what a board has not is not asked for each.
    """
    find_tier, direction, keeps = _tiers(board, total), board.direction, board.definition.keep
    return [
        RankedEntry(
            rank=entry[0],
            user_id=user_id,
            display_name=named[user_id],
            score=entry[1][0] * direction,
            achieved_at=achieved_at,
            metadata=kept_metadata(board, entry) if keeps else msgspec.UNSET,
            tier=msgspec.UNSET if find_tier is None else find_tier(entry.rank, entry.position.position_score),
        )
        for entry, (_, achieved_at, user_id) in zip(entries, members, strict=True)
    ]


def kept_metadata(board: Leaderboard, entry: IndexedEntry) -> dict[str, Any] | msgspec.UnsetType:
    """Return what is kept of an entry's payload, on boards that keep some."""
    return msgspec.json.decode(entry.metadata or "{}") if board.definition.keep else msgspec.UNSET


def tier_of(board: Leaderboard, total: int, entry: IndexedEntry) -> str | msgspec.UnsetType | None:
    """Return the tier of an entry of a ranking with `total` entries, on boards that have some."""
    find_tier = _tiers(board, total)
    return msgspec.UNSET if find_tier is None else find_tier(entry.rank, entry.position.position_score)


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
