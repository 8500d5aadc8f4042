"""Makes dead letters of events that could not be processed, so that what holds them may be acknowledged."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec
import structlog

from grandstand import clock
from grandstand.domain.dead_letters import Form, WorkerLostError, read_loosely, reason_of, source_of
from grandstand.domain.event_model import cut_entry
from grandstand.domain.ids import new_ids
from grandstand.storage.dead_letters import DeadLetterStore, NewLetter
from grandstand.storage.event_stream import PRIORITY_NAMES, Block
from grandstand.storage.postgres import Database, UnfitValueError
from grandstand.telemetry import metrics

_TRACE_SECONDS = 10.0
"""Least time between two traces in the log; each letter keeps its error anyway."""

_log = structlog.get_logger(__name__)


class Lost(NamedTuple):
    """An event that is given up.

    `part` is the block that holds it and nothing else, or the whole block when that cannot be taken apart.
    """

    part: Block
    error: Exception
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime


class EventBurier:
    """Buries for one process."""

    def __init__(self, database: Database, letters: DeadLetterStore) -> None:
        self._database = database
        self._letters = letters
        self._next_trace = 0.0

    async def bury(self, lost: Sequence[Lost]) -> None:
        """Keep events as dead letters; when this returns they are committed. Doing it twice keeps them once.

        Raises:
            UnavailableError: the database is out of reach; nothing was kept.
        """
        letters = [_letter(one) for one in lost]
        async with self._database.transaction() as connection:
            await self._letters.put(connection, letters)
        for one, letter in zip(lost, letters, strict=True):
            metrics.DEAD_LETTERS.labels(_kind(one.error)).inc()
            _log.error(
                "event_dead", event_id=letter.event_id, event_type=letter.event_type, error=letter.error,
                message=letter.message, attempts=letter.attempts,
                exc_info=one.error if self._may_trace() else None,
            )  # fmt: skip

    def _may_trace(self) -> bool:
        """Of many in a short time one trace tells enough, and more would cost more than the events."""
        now = time.monotonic()
        if now < self._next_trace:
            return False
        self._next_trace = now + _TRACE_SECONDS
        return True


def _letter(lost: Lost) -> NewLetter:
    part = lost.part
    event = only_event(part)
    form: Form = "block" if event is None else "event"
    body = part.data if event is None else event
    read = read_loosely(form, body)
    priority = PRIORITY_NAMES[part.priority]
    # The first stream is not named, as it was when there was no other: ids repeat between streams.
    place = f"{part.stream}:{priority}" if part.stream else priority
    reason = reason_of(lost.error)
    return NewLetter(
        dead_letter_id=new_ids(1, clock.now())[0],
        source=source_of(place, part.block_id.decode(), read.event_id, body),
        form=form,
        event_id=read.event_id,
        event_type=read.event_type,
        user_id=read.user_id,
        occurred_at=read.occurred_at,
        received_at=part.received_at,
        priority=priority,
        events=part.events,
        body=body,
        error=reason.error,
        message=reason.message,
        attempts=lost.attempts,
        first_failed_at=lost.first_failed_at,
        last_failed_at=lost.last_failed_at,
    )


def only_event(part: Block) -> bytes | None:
    """Return the text of the one event that a block holds; None when it holds another number or cannot be read."""
    try:
        events = cut_entry(part.data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return events[0] if len(events) == 1 else None


def _kind(error: Exception) -> str:
    if isinstance(error, msgspec.MsgspecError | UnicodeError | RecursionError):
        return "unreadable"
    if isinstance(error, asyncpg.PostgresError | UnfitValueError):
        return "refused"
    return "worker_lost" if isinstance(error, WorkerLostError) else "failed"
