"""What reads of tournaments and prizes return; field names are those of the HTTP contract."""

from datetime import datetime
from typing import Any

import msgspec

from grandstand.domain.leaderboards import Operator, Order, Scalar, Visibility
from grandstand.domain.tournaments import Join, PrizeRule, PrizeStatus, Status, Window, next_window
from grandstand.storage.prizes import Prize
from grandstand.storage.tournaments import Tournament


class TournamentView(msgspec.Struct, kw_only=True):
    """A tournament with one occurrence: its definition, when it takes place, and how it stands."""

    id: str
    title: str | None
    status: Status
    occurrence: int
    starts_at: datetime
    ends_at: datetime
    next_starts_at: datetime | None
    settled_at: datetime | None
    players: int
    event_type: str
    field: str | None
    where: dict[str, Scalar] | None
    operator: Operator
    order: Order
    join: Join
    max_players: int | None
    max_attempts: int | None
    visibility: Visibility
    prizes: tuple[PrizeRule, ...]
    claim_days: int
    repeat: str | None


class TournamentList(msgspec.Struct, kw_only=True):
    """Tournaments in the order of ids."""

    tournaments: list[TournamentView]
    next_cursor: str | None


class ParticipantView(msgspec.Struct, kw_only=True):
    """A player's part in an occurrence."""

    tournament_id: str
    occurrence: int
    user_id: str
    joined_at: datetime
    attempts: int


class PrizeView(msgspec.Struct, kw_only=True):
    """A prize as served."""

    id: str
    user_id: str
    tournament_id: str
    occurrence: int
    rank: int
    kind: str
    amount: int
    metadata: dict[str, Any]
    status: PrizeStatus
    awarded_at: datetime
    claimed_at: datetime | None
    expires_at: datetime


class PrizeList(msgspec.Struct, kw_only=True):
    """Prizes in the order in which they were awarded."""

    prizes: list[PrizeView]
    next_cursor: str | None


def tournament_view(item: Tournament) -> TournamentView:
    """Return the served form of a tournament."""
    definition = item.definition
    next_starts_at = item.next_starts_at
    # The next occurrence is made when one begins.
    if item.status == "scheduled":
        following = next_window(definition, Window(item.occurrence, item.starts_at, item.ends_at))
        next_starts_at = None if following is None else following.starts_at
    return TournamentView(
        id=item.tournament_id,
        title=definition.title,
        status=item.status,
        occurrence=item.occurrence,
        starts_at=item.starts_at,
        ends_at=item.ends_at,
        next_starts_at=next_starts_at,
        settled_at=item.settled_at,
        players=item.players,
        event_type=definition.event_type,
        field=definition.field,
        where=definition.where,
        operator=definition.operator,
        order=definition.order,
        join=definition.join,
        max_players=definition.max_players,
        max_attempts=definition.max_attempts,
        visibility=definition.visibility,
        prizes=definition.prizes,
        claim_days=definition.claim_days,
        repeat=definition.repeat,
    )


def prize_view(prize: Prize) -> PrizeView:
    """Return the served form of a prize."""
    return PrizeView(
        id=str(prize.prize_id),
        user_id=prize.user_id,
        tournament_id=prize.tournament_id,
        occurrence=prize.occurrence,
        rank=prize.rank,
        kind=prize.kind,
        amount=prize.amount,
        metadata=msgspec.json.decode(prize.metadata),
        status=prize.status,
        awarded_at=prize.awarded_at,
        claimed_at=prize.claimed_at,
        expires_at=prize.expires_at,
    )
