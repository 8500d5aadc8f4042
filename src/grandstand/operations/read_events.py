"""Reads stored events of a player, of a type, or all of them, the newest first."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.event_model import is_user_id
from grandstand.domain.list_cursors import read_list_cursor, write_list_cursor
from grandstand.domain.plausibility import QuarantineStatus
from grandstand.operations.route_reads import Reads
from grandstand.storage.event_reads import EventFilter, EventReads, EventRow
from grandstand.storage.postgres import Connection, Database

LIST_MAX = 1_000
TYPE_LENGTH_MAX = 50
TYPES_MAX = 100
"""Stored types among which events are listed where neither a player nor a type is named."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_ALL = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))
_TIME_BYTES, _UUID_BYTES = 8, 16


class EventScore(msgspec.Struct, kw_only=True):
    """What an event is worth on one leaderboard or tournament (one of the two is named); without a score, why not.

    `period` is null while it runs; `quarantine` is set where `reason` is one of the quarantine.
    """

    leaderboard: str | None
    tournament: str | None
    score: int | None
    reason: str | None
    period: str | None
    quarantine: QuarantineStatus | None


class StoredEvent(msgspec.Struct, kw_only=True):
    """A stored event as served; `scores` where they were asked for."""

    id: UUID
    event_type: str
    user_id: str
    occurred_at: datetime
    received_at: datetime
    processed_at: datetime
    payload: msgspec.Raw
    scores: list[EventScore] | msgspec.UnsetType = msgspec.UNSET


class EventList(msgspec.Struct):
    """A page of stored events, the newest first."""

    events: list[StoredEvent]
    next_cursor: str | None = None


class EventReader:
    """Reads events for one process. Raises `UnavailableError` when PostgreSQL is out of reach or too slow."""

    def __init__(self, database: Database | Reads, reads: EventReads) -> None:
        self._database = database
        self._reads = reads

    async def list(
        self,
        *,
        user_id: str | None = None,
        event_type: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> EventList:
        """Return a page. Where neither a user nor a type is named, it is put together from the types that are stored.

        Raises:
            InvalidError: a value out of range, a text that is no cursor, or neither is named and there are more than
                `TYPES_MAX` types.
        """
        _check(user_id, event_type, limit)
        before = _AFTER_ALL if cursor is None else _read_place(cursor)
        wanted = EventFilter(user_id, event_type, since, until)
        found = await self._database.read(lambda connection: self._find(connection, wanted, before, limit + 1))
        page = found[:limit]
        return EventList([_view(row) for row in page], _write_place(page[-1]) if len(found) > limit else None)

    async def _find(
        self, connection: "Connection[Any]", wanted: EventFilter, before: tuple[datetime, UUID], count_max: int
    ) -> Sequence[EventRow]:
        if wanted.user_id is not None or wanted.event_type is not None:
            return await self._reads.list_newest(connection, wanted, before=before, count_max=count_max)
        found = await self._reads.list_newest_of_all(
            connection, wanted, before=before, count_max=count_max, types_max=TYPES_MAX
        )
        if found is None:
            message = f"is needed, or event_type, because there are events of more than {TYPES_MAX} types"
            raise InvalidError([FieldError("user_id", message)])
        return found


def _check(user_id: str | None, event_type: str | None, limit: int) -> None:
    errors = []
    if not 1 <= limit <= LIST_MAX:
        errors.append(FieldError("limit", f"must be between 1 and {LIST_MAX}"))
    if user_id is not None and not is_user_id(user_id):
        errors.append(FieldError("user_id", "must be 1 to 255 characters, none of them a control character"))
    if event_type is not None and (not 0 < len(event_type) <= TYPE_LENGTH_MAX or "\x00" in event_type):
        errors.append(FieldError("event_type", f"must be 1 to {TYPE_LENGTH_MAX} characters"))
    if errors:
        raise InvalidError(errors)


def _read_place(cursor: str) -> tuple[datetime, UUID]:
    key = read_list_cursor(cursor, _TIME_BYTES + _UUID_BYTES)
    try:
        moment = _EPOCH + timedelta(microseconds=int.from_bytes(key[:_TIME_BYTES]))
    except OverflowError:
        raise InvalidError([FieldError("cursor", "is not a cursor of this list; begin again without one")]) from None
    return moment, UUID(bytes=key[_TIME_BYTES:])


def _write_place(row: EventRow) -> str:
    microseconds = (row.received_at - _EPOCH) // timedelta(microseconds=1)
    return write_list_cursor(microseconds.to_bytes(_TIME_BYTES) + row.event_id.bytes)


def _view(row: EventRow) -> StoredEvent:
    return StoredEvent(
        id=row.event_id,
        event_type=row.event_type,
        user_id=row.user_id,
        occurred_at=row.occurred_at,
        received_at=row.received_at,
        processed_at=row.processed_at,
        payload=msgspec.Raw(row.payload.encode()),
    )
