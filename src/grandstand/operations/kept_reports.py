"""Reports that look through more events than a request may: asked for by HTTP processes, counted by the scheduler.

What is counted is what a request would have counted, in one snapshot; only when and where differ. docs/decisions/0050
has the reasons.
"""

import asyncio
import hashlib
import time
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import asyncpg
import msgspec
import structlog

from grandstand import clock
from grandstand.domain.errors import FieldError, InvalidError, UnavailableError
from grandstand.operations.analytics_views import Answer, EventStats, FunnelView, Overview, Retention, SessionStats
from grandstand.operations.count_reports import plan
from grandstand.operations.report_questions import Kind, Question
from grandstand.operations.route_reads import Reads
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.postgres import Database
from grandstand.storage.reports import KeptReport, ReportStore

COUNT_SECONDS_MAX = 300.0
"""What a statement of a report may take."""

RETRY_SECONDS = 5
_PATIENCE_SECONDS = 8.0
_PAUSE_SECONDS = 0.05
_PAUSE_MAX_SECONDS = 0.5
_LONG_SECONDS = 1.0
_ROOM_SECONDS = 5.0
"""For what needs the event log for itself for a moment: a report keeps partitions from leaving, and whoever makes one
leave tries once a second. So much follows a report that took longer than the other."""

_TOO_LONG = (asyncpg.QueryCanceledError, TimeoutError)
_TOO_LARGE = (asyncpg.DiskFullError, asyncpg.OutOfMemoryError, asyncpg.ConfigurationLimitExceededError)
"""What PostgreSQL says of a statement for which there is not enough memory, or room to sort in (`temp_file_limit`)."""

A = TypeVar("A")
_log = structlog.get_logger(__name__)


class ReportNotReadyError(UnavailableError):
    """The answer is being counted. Ask again after `retry_after` seconds."""

    code, title = "report_being_counted", "Being counted"

    def __init__(self) -> None:
        super().__init__("This is being counted; ask again.", retry_after=RETRY_SECONDS)


class Outcome(msgspec.Struct, Generic[A], omit_defaults=True):
    """What counting came to: an answer, what is wrong with the question, or neither."""

    answer: A | None = None
    errors: list[FieldError] = []
    is_too_long: bool = False


_DECODERS: dict[Kind, msgspec.json.Decoder[Outcome[Any]]] = {
    "stats": msgspec.json.Decoder(Outcome[EventStats]),
    "overview": msgspec.json.Decoder(Outcome[Overview]),
    "retention": msgspec.json.Decoder(Outcome[Retention]),
    "funnel": msgspec.json.Decoder(Outcome[FunnelView]),
    "sessions": msgspec.json.Decoder(Outcome[SessionStats]),
}


class KeptReports:
    """Asks for reports, for one process. `age_max_seconds`: how old an answer may be that is given.

    One that takes long to count may be older: up to 20 times what that takes.
    """

    def __init__(
        self,
        database: Database,
        reads: Database | Reads,
        *,
        age_max_seconds: float,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._database = database
        self._reads = reads
        self._age_max_seconds = age_max_seconds
        self._patience_seconds = patience_seconds
        self._store = ReportStore()

    async def find(self, question: Question) -> Answer:
        """Return an answer that was counted not too long ago; wait a while for one that is not there yet.

        Raises:
            InvalidError: it would have too many rows.
            ReportNotReadyError: it takes longer.
            UnavailableError: the database is out of reach, or counting took too long.
        """
        text = msgspec.json.encode(question)
        digest = hashlib.sha256(text).digest()
        until, pause = time.monotonic() + self._patience_seconds, _PAUSE_SECONDS
        kept = await self._ask(digest, question.kind, text)
        while True:
            found = None if kept is None else self._read(question, kept)
            if found is not None:
                return found
            if time.monotonic() >= until:
                raise ReportNotReadyError
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PAUSE_MAX_SECONDS)
            kept = await self._database.read(lambda connection: self._store.find(connection, digest))

    async def _ask(self, digest: bytes, kind: str, text: bytes) -> KeptReport | None:
        try:
            async with self._database.connection() as connection:
                kept = await self._store.ask(connection, digest, kind, text, clock.now())
        except UnavailableError:
            # Nobody can be asked to count; a replica may still have what was counted.
            kept = await self._reads.read(lambda connection: self._store.find(connection, digest))
            if kept is None:
                raise
            return kept
        if kept is None:
            raise UnavailableError("Too many reports are being counted.", retry_after=RETRY_SECONDS)
        return kept

    def _read(self, question: Question, kept: KeptReport) -> Answer | None:
        if kept.as_of is None or kept.seconds is None or kept.outcome is None:
            return None
        age_seconds = (clock.now() - kept.as_of).total_seconds()
        if age_seconds > max(self._age_max_seconds, 20 * kept.seconds):
            return None
        try:
            outcome = _DECODERS[question.kind].decode(kept.outcome)
        except msgspec.MsgspecError:
            # Counted by a program of another version; one of this version will do so again.
            return None
        if outcome.answer is not None:
            answer: Answer = outcome.answer
            return answer
        if outcome.errors:
            raise InvalidError(outcome.errors)
        why = f"takes longer than {COUNT_SECONDS_MAX:.0f} seconds" if outcome.is_too_long else "failed"
        raise UnavailableError(f"Counting this {why}: ask for less time.", retry_after=int(self._age_max_seconds))


class ReportKeeper:
    """Counts what is asked for, for the scheduler that leads: what is new first, the rest before it is too old."""

    def __init__(
        self, database: Database, stop: asyncio.Event, *, age_max_seconds: float, fence: Fence = no_fence
    ) -> None:
        self._database = database
        self._stop = stop
        self._fence = fence
        self._age_max = timedelta(seconds=age_max_seconds)
        self._store = ReportStore()
        self._analytics = AnalyticsStore(COUNT_SECONDS_MAX)

    async def keep(self) -> int:
        """Count all that is due, one after the other, until the stop; return how many there were.

        Where much is asked, something is always due and this goes on for hours: who leads, and what is still asked for,
        is looked at anew before each report.

        Raises:
            LeaseLostError: another scheduler leads.
            UnavailableError: the database is out of reach; the next round goes on.
        """
        total = 0
        while not self._stop.is_set() and (due := await self._next_due()) is not None:
            began_at = time.monotonic()
            work = asyncio.create_task(self._count(*due), name="count a report")
            ends = asyncio.create_task(self._stop.wait())
            try:
                await asyncio.wait((work, ends), return_when=asyncio.FIRST_COMPLETED)
            finally:
                ends.cancel()
                work.cancel()
                await asyncio.wait((work,))
            if work.cancelled():
                break
            work.result()
            total += 1
            if time.monotonic() - began_at > _LONG_SECONDS:
                await clock.wait(self._stop, _ROOM_SECONDS)
        return total

    async def _next_due(self) -> tuple[int, bytes] | None:
        now = clock.now()
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._store.prune(connection, now - self._age_max)
            return await self._store.next_due(connection, now, self._age_max / 2)

    async def _count(self, report_id: int, question: bytes) -> None:
        as_of, began_at = clock.now(), time.monotonic()
        # Whatever goes wrong is kept, too, so that the others have their turn.
        try:
            outcome = await self._outcome(msgspec.json.decode(question, type=Question))
        except UnavailableError as error:
            if not isinstance(error.__cause__, (*_TOO_LONG, *_TOO_LARGE)):
                raise
            _log.warning("report_took_too_much", question=question.decode(), error=str(error.__cause__))
            outcome = Outcome(is_too_long=isinstance(error.__cause__, _TOO_LONG))
        except Exception:
            await self._keep(report_id, as_of, began_at, Outcome())
            raise
        await self._keep(report_id, as_of, began_at, outcome)

    async def _outcome(self, question: Question) -> Outcome[Answer]:
        try:
            planned = plan(question)
            async with self._database.snapshot() as connection:
                await planned.begin(connection)
                await self._store.allow_time(connection, COUNT_SECONDS_MAX)
                answer = await planned.read(self._analytics, connection)
        except InvalidError as error:
            return Outcome(errors=error.errors)
        return Outcome(answer)

    async def _keep(self, report_id: int, as_of: datetime, began_at: float, outcome: Outcome[Answer]) -> None:
        async with self._database.connection() as connection:
            await self._store.keep(
                connection, report_id, as_of, time.monotonic() - began_at, msgspec.json.encode(outcome)
            )
