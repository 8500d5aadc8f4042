"""What was read of a ranking as readers see it: pages, neighbourhoods, ranks, and lists of users."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from grandstand import clock
from grandstand.domain.ranking import percentile, read_member
from grandstand.operations.find_ranking import Target
from grandstand.operations.leaderboard_views import Lookup, Page, RankedEntry, UserRank
from grandstand.operations.view_entries import Members, kept_metadata, named_views, tier_of
from grandstand.storage.windows import IndexedEntry, Window


def page_of(target: Target, total: int, entries: list[RankedEntry], cursor: str | None) -> Page:
    """Return a page of a ranking with `total` entries, read just now."""
    return Page(
        leaderboard=target.board.key,
        period=target.period_id,
        period_ends_at=target.period.end,
        segment=_given(target.segment),
        bucket=_given(target.bucket),
        total=total,
        as_of=clock.now(),
        entries=entries,
        next_cursor=cursor,
    )


def neighbours_of(target: Target, window: Window, members: Members, named: Mapping[str, str | None]) -> Page:
    """Return what was read around a user (`window.own`), of which `members` was read and who have these names."""
    page = page_of(target, window.total, named_views(target.board, window.total, window.entries, members, named), None)
    if window.own is not None:
        own_rank = window.own.rank
        page.user = next(entry for entry in page.entries if entry.rank == own_rank)
    return page


def rank_of(target: Target, total: int, entry: IndexedEntry, name: str | None, bucket: int | None) -> UserRank:
    """Return one user's rank among `total`; `bucket` is the one that the user is in, of a whole board that has some."""
    # What `view_entries` says of an entry, without a view in between: this is asked for most.
    board = target.board
    position_score, member = entry.position
    _, achieved_at, user_id = read_member(member, board.tie_bytes)
    return UserRank(
        rank=entry.rank,
        user_id=user_id,
        display_name=name,
        score=position_score * board.direction,
        achieved_at=achieved_at,
        metadata=kept_metadata(board, entry),
        tier=tier_of(board, total, entry),
        total=total,
        percentile=percentile(entry.rank, total),
        leaderboard=board.key,
        period=target.period_id,
        period_ends_at=target.period.end,
        segment=_given(target.segment),
        bucket=_given(bucket),
    )


def lookup_of(target: Target, total: int, entries: list[RankedEntry], named: Sequence[str]) -> Lookup:
    """Return the entries of those who were named and have one, with those who have none."""
    ranked = {entry.user_id for entry in entries}
    return Lookup(
        leaderboard=target.board.key,
        period=target.period_id,
        period_ends_at=target.period.end,
        segment=_given(target.segment),
        bucket=_given(target.bucket),
        total=total,
        as_of=clock.now(),
        entries=entries,
        not_ranked=[user_id for user_id in named if user_id not in ranked],
    )


def _given(value: Any) -> Any:
    return msgspec.UNSET if value is None else value
