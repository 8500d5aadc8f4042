"""Answers what players did: at once where that is little work, else from what a scheduler counts and keeps."""

import asyncio
from collections.abc import Hashable
from typing import Any

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.json_bodies import decode_body
from grandstand.operations.analytics_views import Answer, EventStats, FunnelView, Overview, Retention, SessionStats
from grandstand.operations.answer_cache import AnswerCache
from grandstand.operations.count_reports import Plan, plan
from grandstand.operations.kept_reports import KeptReports
from grandstand.operations.report_questions import FunnelRequest, Question, Span
from grandstand.operations.route_reads import Reads
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.postgres import Connection, Database

AT_ONCE_EVENTS_MAX = 200_000
"""Events that a request may look through: half a second of a core. It is the bound of every request's work."""

_AT_ONCE = 2
"""Questions that one process asks the stored events at the same time."""

_KEPT_ROWS_MAX = 100_000
"""Rows of all answers that are kept together: some ten MB."""


class AnalyticsReader:
    """Answers for one process, from a replica where one is fresh.

    All raise `InvalidError` for what cannot be asked, and `UnavailableError` when PostgreSQL is away or too slow, or an
    answer is yet to be counted. An answer is kept for up to the age that is given, and who asks the same meanwhile
    shares it: each is computed once in that time, however many look at a page.
    """

    def __init__(
        self,
        database: Database | Reads,
        store: AnalyticsStore,
        reports: KeptReports,
        *,
        age_max_seconds: float = 0.0,
        at_once_events_max: int = AT_ONCE_EVENTS_MAX,
    ) -> None:
        self._database = database
        self._store = store
        self._reports = reports
        self._at_once_events_max = at_once_events_max
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._cache: AnswerCache[Hashable, Answer] = AnswerCache(
            "analytics", age_max_seconds=age_max_seconds, weight_max=_KEPT_ROWS_MAX, weigh=_rows_of
        )

    async def stats(self, span: Span, interval: str | None, event_type: str | None) -> EventStats:
        """Return events and users by hour or day (whole ones, those that the range touches) and event type."""
        if interval not in (None, "hour", "day"):
            raise InvalidError([FieldError("interval", "must be hour or day")])
        asked = Question(
            kind="stats", span=span, interval="day" if interval == "day" else "hour", event_type=event_type
        )
        return await self._answer(asked)  # type: ignore[return-value]

    async def overview(self, span: Span) -> Overview:
        """Return the days that the range touches, whatever time of the day it begins or ends."""
        return await self._answer(Question(kind="overview", span=span))  # type: ignore[return-value]

    async def retention(self, span: Span, by: str | None) -> Retention:
        """Return cohorts by the day of the first event and, with `by`, a field of its payload."""
        return await self._answer(Question(kind="retention", span=span, by=by))  # type: ignore[return-value]

    async def sessions(self, span: Span) -> SessionStats:
        """Return sessions by the day on which they began."""
        return await self._answer(Question(kind="sessions", span=span))  # type: ignore[return-value]

    async def funnel(self, body: bytes) -> FunnelView:
        """Return how many users took each step of a funnel; see `Funnel` for what a step is."""
        asked = decode_body(body, FunnelRequest)
        question = Question(
            kind="funnel", span=Span(asked.from_, asked.to, asked.timezone), steps=tuple(asked.steps),
            within_seconds=asked.within_seconds,
        )  # fmt: skip
        return await self._answer(question)  # type: ignore[return-value]

    async def _answer(self, question: Question) -> Answer:
        planned = plan(question)
        # No change is announced, and none need be: the age is what is promised.
        return await self._cache.get(question, lambda: True, lambda: self._load(question, planned))

    async def _load(self, question: Question, planned: Plan) -> Answer:
        async def read(connection: "Connection[Any]") -> Answer | None:
            await planned.begin(connection)
            if await planned.count_events(self._store, connection) > self._at_once_events_max:
                return None
            return await planned.read(self._store, connection)

        if planned.reads_events:
            async with self._turns:
                found = await self._database.read(read, in_snapshot=True)
        else:
            found = await self._database.read(read, in_snapshot=True)
        return await self._reports.find(question) if found is None else found


def _rows_of(_: Hashable, answer: object) -> int:
    """Return about how many rows are kept with an answer."""
    rows = [getattr(answer, name, ()) for name in ("buckets", "days", "cohorts", "steps")]
    return 1 + sum(len(each) for each in rows)
