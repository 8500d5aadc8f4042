"""Lists what is quarantined; releases it, so that it counts from then on, or rejects it for good.

A release folds the event in one transaction with the decision, beside the batches of workers: it counts once, whoever
else decides at the same time. Both decisions are final: what counts cannot be taken out of a best score again.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog

from grandstand import clock
from grandstand.domain.errors import ConflictError, FieldError, InvalidError, NotFoundError
from grandstand.domain.event_model import StreamedEvent, stored_event
from grandstand.domain.list_cursors import check_limit, read_list_cursor, write_list_cursor
from grandstand.domain.plausibility import QUARANTINE_STATUSES, QuarantineReason, QuarantineStatus
from grandstand.domain.rankings import RankingName
from grandstand.domain.scores import UnrankedError
from grandstand.operations.audit import AuditAction, record
from grandstand.operations.catalog import LeaderboardCatalog, ScoredBoard
from grandstand.operations.fold_scores import Folded, ScoreFolder
from grandstand.operations.score_events import LATE, REMOVED, Scored, is_removed, score_event, value_of
from grandstand.storage.changes import Changes
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.quarantine import Quarantined, QuarantineFilter, QuarantineStore
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.rankings import RankingStore
from grandstand.storage.valkey_errors import OUT_OF_REACH
from grandstand.telemetry import metrics

LIST_MAX = 1_000
FILTER_LENGTH_MAX = 255
RULE_CHANGED = "rule_changed"
"""Why a released event is not ranked: the board's rule of today does not read it."""

NOT_STORED = "not_stored"
"""Why a released event is not ranked: it is not kept any more."""

_AFTER_ALL = UUID(int=2**128 - 1)
_UUID_BYTES = 16
_decode_payload = msgspec.json.Decoder().decode
_log = structlog.get_logger(__name__)


class QuarantineView(msgspec.Struct, kw_only=True):
    """A quarantined event as served; `unranked_reason` says why one that was released is not ranked all the same."""

    id: UUID
    leaderboard: str
    event_id: UUID
    event_type: str
    user_id: str
    score: int
    occurred_at: datetime
    received_at: datetime
    reason: QuarantineReason
    status: QuarantineStatus
    quarantined_at: datetime
    decided_at: datetime | None
    unranked_reason: str | None


class QuarantineList(msgspec.Struct):
    """A page of quarantined events, the newest first."""

    quarantine: list[QuarantineView]
    next_cursor: str | None = None


class QuarantineManager:
    """Manages the quarantine for one process. Raises `UnavailableError` when PostgreSQL is out of reach."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        quarantine: QuarantineStore,
        catalog: LeaderboardCatalog,
        rankings: RankingStore,
        new_folder: Callable[[], ScoreFolder],
        index: RankingIndex,
        changes: Changes,
    ) -> None:
        """`new_folder` gives each release a folder of its own, for they run side by side."""
        self._database = database
        self._ledger = ledger
        self._quarantine = quarantine
        self._catalog = catalog
        self._rankings = rankings
        self._new_folder = new_folder
        self._index = index
        self._changes = changes

    async def list(
        self,
        *,
        leaderboard: str | None = None,
        user_id: str | None = None,
        status: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> QuarantineList:
        """Return a page, the newest first. No status means all.

        Raises:
            InvalidError: an unknown status, a filter or limit out of range, or a text that is no cursor.
        """
        check_limit(limit, LIST_MAX)
        for name, text in (("leaderboard", leaderboard), ("user_id", user_id)):
            if text is not None and (not 0 < len(text) <= FILTER_LENGTH_MAX or "\x00" in text):
                raise InvalidError([FieldError(name, f"must be 1 to {FILTER_LENGTH_MAX} characters without NUL")])
        wanted = QuarantineFilter(leaderboard, user_id, _read_status(status))
        before = _AFTER_ALL if cursor is None else UUID(bytes=read_list_cursor(cursor, _UUID_BYTES))
        async with self._database.connection() as connection:
            found = await self._quarantine.list_newest(connection, wanted, before=before, count_max=limit + 1)
        page = found[:limit]
        next_cursor = write_list_cursor(page[-1].quarantine_id.bytes) if len(found) > limit else None
        return QuarantineList([_view(row) for row in page], next_cursor)

    async def reject(self, quarantine_id: str) -> QuarantineView:
        """Say that an event never counts; a second time is the same as once.

        Raises:
            NotFoundError: `quarantine_not_found`.
            ConflictError: `quarantine_decided` when it was released.
        """
        is_new = False
        async with self._database.transaction() as connection:
            row = await self._lock(connection, quarantine_id, other="released")
            if row.status == "held":
                row = row._replace(status="rejected", decided_at=clock.now())
                await self._decide(connection, row)
                is_new = True
        if is_new:
            metrics.QUARANTINE_DECISIONS.labels("rejected").inc()
        return _view(row)

    async def release(self, quarantine_id: str) -> QuarantineView:
        """Let an event count where it would have counted when it came, unless that period is over by now.

        A second time changes nothing, and has the player's entries published once more.

        Raises:
            NotFoundError: `quarantine_not_found`.
            ConflictError: `quarantine_decided` when it was rejected.
        """
        folder = self._new_folder()
        async with self._database.transaction() as connection:
            # Shared with the batches of workers: no definition changes and no period closes meanwhile.
            state = await self._ledger.join(connection)
            row = await self._lock(connection, quarantine_id, other="rejected")
            if state.leaderboards_revision > self._catalog.revision:
                await self._catalog.refresh(connection, state.leaderboards_revision)
            folder.begin(state.leaderboards_revision)
            scored, reason = await self._score(connection, folder, row)
            is_new = row.status == "held"
            if is_new:
                folded = await folder.fold(connection, scored)
                reason = reason or next((reason for _, reason in scored.unranked), None)
                row = row._replace(
                    status="released", decided_at=clock.now(), counts=reason != LATE, unranked_reason=reason
                )
                await self._decide(connection, row)
            else:
                folded = await folder.find(connection, scored)
        if is_new:
            metrics.QUARANTINE_DECISIONS.labels("released").inc()
        await self._publish(folded)
        return _view(row)

    async def _score(
        self, connection: "Connection[Any]", folder: ScoreFolder, row: Quarantined
    ) -> tuple[Scored, str | None]:
        """Return what the event comes to, and why it comes to nothing on the board in force."""
        scored = Scored()
        found = await self._quarantine.find_event(connection, row)
        if found is None:
            return scored, NOT_STORED
        event = stored_event(row.event_type, row.user_id, row.event_id, row.occurred_at)
        payload = _decode_payload(found.payload)
        fed = [
            target
            for target in self._catalog.fed_by(row.event_type, payload)
            if target.board.leaderboard_id == row.leaderboard_id
        ]
        removals = await folder.removals_since(connection, row.received_at)
        reason: str | None = RULE_CHANGED
        for target in fed:
            if is_removed(target.board, event, row.received_at, removals):
                return Scored(), REMOVED
            if self._catalog.is_in_force(target.board):
                if found.is_before_rule:
                    # What was stored before the rule does not count by it, though it does for a replay under way.
                    continue
                reason = None
                if await self._is_over(connection, target, event, payload, row.received_at):
                    return Scored(), LATE
            score_event(scored, target, event, payload, row.received_at)
        return scored, reason

    async def _is_over(
        self,
        connection: "Connection[Any]",
        target: ScoredBoard,
        event: StreamedEvent,
        payload: Any,
        received_at: datetime,
    ) -> bool:
        """Whether nothing is added any more to the period in which the event would count."""
        try:
            _, period = value_of(target, event, payload, received_at)
        except UnrankedError:
            return False
        name = RankingName(target.board.leaderboard_id, target.board.epoch, period.start)
        found = await self._rankings.find(connection, [name])
        return found[0].state != "live" if found else not period.takes(clock.now())

    async def _lock(self, connection: "Connection[Any]", quarantine_id: str, *, other: QuarantineStatus) -> Quarantined:
        row = await self._quarantine.lock(connection, _read_id(quarantine_id))
        if row is None:
            raise _not_found()
        if row.status == other:
            raise ConflictError("quarantine_decided", f"This event was {other} already.")
        return row

    async def _decide(self, connection: "Connection[Any]", row: Quarantined) -> None:
        await self._quarantine.decide(connection, row)
        action: AuditAction = "quarantine.release" if row.status == "released" else "quarantine.reject"
        before = {"status": "held", "reason": row.reason}
        await record(connection, action, str(row.quarantine_id), before=before, after=_view(row))

    async def _publish(self, folded: Folded) -> None:
        try:
            await self._index.publish(folded.entries, folded.directions)
            if folded.entries:
                await self._changes.rankings({entry.ranking_id for entry in folded.entries})
            if folded.has_new_rankings:
                await self._changes.periods()
        except OUT_OF_REACH as error:
            # The release stands; the reconciler brings the index back in line.
            _log.warning("change_not_announced", error=str(error))


def _view(row: Quarantined) -> QuarantineView:
    return QuarantineView(
        id=row.quarantine_id,
        leaderboard=row.key,
        event_id=row.event_id,
        event_type=row.event_type,
        user_id=row.user_id,
        score=row.score,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        reason=row.reason,
        status=row.status,
        quarantined_at=row.quarantined_at,
        decided_at=row.decided_at,
        unranked_reason=row.unranked_reason,
    )


def _read_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _not_found() from None


def _read_status(text: str | None) -> QuarantineStatus | None:
    for status in QUARANTINE_STATUSES:
        if status == text:
            return status
    if text is not None:
        raise InvalidError([FieldError("status", f"must be one of {', '.join(QUARANTINE_STATUSES)}")])
    return None


def _not_found() -> NotFoundError:
    return NotFoundError("quarantine_not_found", "There is no such quarantined event.")
