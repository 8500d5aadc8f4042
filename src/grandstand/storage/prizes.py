"""The prize ledger: what was awarded, and every step of each prize. Rows are never deleted."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from grandstand.domain.tournaments import PrizeRule, PrizeStatus
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class Prize(NamedTuple):
    """One prize; `metadata` is JSON text."""

    prize_id: UUID
    user_id: str
    tournament_id: str
    occurrence: int
    rule: int
    rank: int
    kind: str
    amount: int
    metadata: str
    status: PrizeStatus
    awarded_at: datetime
    claimed_at: datetime | None
    expires_at: datetime


class Award(NamedTuple):
    """Who was awarded what by which rule."""

    rank: int
    user_id: str
    rule: int
    kind: str
    amount: int


class PrizeStore:
    """Writes and reads prizes; every method runs on the caller's connection. Each step leaves a trace."""

    async def award(
        self,
        connection: "Connection[Any]",
        tournament_id: str,
        occurrence: int,
        rules: Sequence[PrizeRule],
        given: Sequence[tuple[UUID, int, int]],
        awarded_at: datetime,
        expires_at: datetime,
    ) -> list[Prize]:
        """Award prizes to standings: (id of the prize, number of its rule, rank) each; return them in the order of ids.

        Raises:
            asyncpg.UniqueViolationError: somebody has it already.
        """
        numbers = sorted({number for _, number, _ in given})
        rows = await connection.fetch(
            queries.load("prizes/award.sql"), tournament_id, occurrence, awarded_at, expires_at, numbers,
            [rules[number].kind for number in numbers],
            [rules[number].amount for number in numbers],
            [msgspec.json.encode(rules[number].metadata).decode() for number in numbers],
            [prize_id for prize_id, _, _ in given],
            [number for _, number, _ in given],
            [rank for _, _, rank in given],
        )  # fmt: skip
        return [Prize(*row) for row in rows]

    async def claim(
        self, connection: "Connection[Any]", prize_id: UUID, now: datetime, key: str | None, actor: str
    ) -> Prize | None:
        """Claim a prize; None when it is not pending or has expired."""
        row = await connection.fetchrow(queries.load("prizes/claim.sql"), prize_id, now, key)
        if row is None:
            return None
        prize = Prize(*row)
        await self._trace(connection, [prize], "claimed", now, actor, None)
        return prize

    async def find(self, connection: "Connection[Any]", prize_id: UUID) -> tuple[Prize, str | None] | None:
        """Return a prize and the idempotency key of its claim."""
        row = await connection.fetchrow(queries.load("prizes/find.sql"), prize_id)
        if row is None:
            return None
        *fields, claim_key = tuple(row)
        return Prize(*fields), claim_key

    async def list_all(
        self,
        connection: "Connection[Any]",
        *,
        status: str | None,
        tournament_id: str | None,
        after: UUID,
        count_max: int,
    ) -> list[Prize]:
        """Return prizes in the order in which they were awarded."""
        rows = await connection.fetch(queries.load("prizes/list.sql"), status, tournament_id, after, count_max)
        return [Prize(*row) for row in rows]

    async def list_of_users(
        self,
        connection: "Connection[Any]",
        user_ids: Sequence[str],
        *,
        status: str | None,
        tournament_id: str | None,
        after: UUID,
        count_max: int,
    ) -> dict[str, list[Prize]]:
        """Return prizes of different users, up to `count_max` of each, in the order in which they were awarded."""
        # A statement of its own: one plan does for all players, and it need not be made anew for each.
        rows = await connection.fetch(
            queries.load("prizes/list_of_users.sql"), user_ids, status, tournament_id, after, count_max
        )
        found: dict[str, list[Prize]] = {user_id: [] for user_id in user_ids}
        for row in rows:
            prize = Prize(*row)
            found[prize.user_id].append(prize)
        return found

    async def list_newest(self, connection: "Connection[Any]", user_id: str, count_max: int) -> list[Prize]:
        """Return a user's prizes, the newest first."""
        rows = await connection.fetch(queries.load("prizes/list_newest.sql"), user_id, count_max)
        return [Prize(*row) for row in rows]

    async def list_of_occurrence(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int, count_max: int
    ) -> list[Award]:
        """Return what was awarded in an occurrence, whatever became of it, by rule and rank."""
        rows = await connection.fetch(
            queries.load("prizes/list_of_occurrence.sql"), tournament_id, occurrence, count_max
        )
        return [Award(*row) for row in rows]

    async def sum_of_occurrence(
        self, connection: "Connection[Any]", tournament_id: str, occurrence: int
    ) -> tuple[int, dict[str, int]]:
        """Return how many prizes were awarded in an occurrence, and the sum of each kind."""
        rows = await connection.fetch(queries.load("prizes/sum_of_occurrence.sql"), tournament_id, occurrence)
        return sum(row["prizes"] for row in rows), {row["kind"]: int(row["amount"]) for row in rows}

    async def void(
        self, connection: "Connection[Any]", prize_id: UUID, now: datetime, actor: str, reason: str | None
    ) -> bool:
        """Void a prize that is not claimed; False when it is not pending."""
        rows = await connection.fetch(queries.load("prizes/void.sql"), prize_id, now)
        await self._trace_ids(connection, rows, "voided", now, actor, reason)
        return bool(rows)

    async def void_of_user(
        self, connection: "Connection[Any]", user_id: str, now: datetime, actor: str, reason: str | None
    ) -> int:
        """Void every prize of a user that is not claimed; return how many there were."""
        rows = await connection.fetch(queries.load("prizes/void_of_user.sql"), user_id, now)
        await self._trace_ids(connection, rows, "voided", now, actor, reason)
        return len(rows)

    async def expire(self, connection: "Connection[Any]", now: datetime, count_max: int) -> int:
        """Expire up to `count_max` prizes that were not claimed in time; return how many there were."""
        rows = await connection.fetch(queries.load("prizes/expire.sql"), now, count_max)
        await self._trace_ids(connection, rows, "expired", now, "clock", None)
        return len(rows)

    async def _trace(
        self,
        connection: "Connection[Any]",
        prizes: Sequence[Prize],
        status: str,
        moment: datetime,
        actor: str,
        reason: str | None,
    ) -> None:
        await self._trace_ids(connection, [(prize.prize_id,) for prize in prizes], status, moment, actor, reason)

    async def _trace_ids(
        self,
        connection: "Connection[Any]",
        rows: Sequence[Any],
        status: str,
        moment: datetime,
        actor: str,
        reason: str | None,
    ) -> None:
        if rows:
            await connection.execute(
                queries.load("prizes/add_steps.sql"), [row[0] for row in rows], status, moment, actor, reason
            )
