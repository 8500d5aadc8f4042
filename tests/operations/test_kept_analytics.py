"""Answers of analytics are kept for their stated age and no longer, and who asks at once shares one."""

import asyncio

import pytest

from grandstand.operations.count_events import EventCounter
from grandstand.operations.kept_reports import KeptReports
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.report_questions import Span
from grandstand.storage.analytics import AnalyticsStore
from tests.support.core import NOON, Core, event

pytestmark = pytest.mark.anyio
SPAN = Span(f"{NOON:%Y-%m-%d}", f"{NOON:%Y-%m-%d}")
FUNNEL = f'{{"steps": ["game_ended"], "from": "{NOON:%Y-%m-%d}", "to": "{NOON:%Y-%m-%d}"}}'.encode()


class Counting(AnalyticsStore):
    """Counts what is computed."""

    computed = 0

    async def totals(self, *arguments: object) -> object:  # type: ignore[override]
        self.computed += 1
        return await super().totals(*arguments)  # type: ignore[arg-type]


def reader_of(core: Core, store: AnalyticsStore, age_max_seconds: float) -> AnalyticsReader:
    reports = KeptReports(core.database, core.database, age_max_seconds=600)
    return AnalyticsReader(core.database, store, reports, age_max_seconds=age_max_seconds)


async def users(reader: AnalyticsReader) -> list[int]:
    overview, stats, sessions, retention, funnel = (
        await reader.overview(SPAN),
        await reader.stats(SPAN, "day", "game_ended"),
        await reader.sessions(SPAN),
        await reader.retention(SPAN, None),
        await reader.funnel(FUNNEL),
    )
    return [
        overview.days[0].mau, stats.buckets[0].users, sessions.days[0].users, retention.cohorts[0].size,
        funnel.steps[0].users,
    ]  # fmt: skip


async def test_an_answer_is_kept_for_its_age(core: Core) -> None:
    store = Counting()
    reader = reader_of(core, store, 3600)
    for name in ("ann", "bob"):
        await core.apply(event(name))
        await EventCounter(core.database, core.event_log).count()
        assert await users(reader) == [1] * 5, "as it was asked first"
    assert store.computed == 1
    assert await users(reader_of(core, store, 0)) == [2] * 5, "without an age each is computed"
    await reader.overview(Span(SPAN.from_, SPAN.to, "Europe/Berlin"))
    assert store.computed == 3, "another question has another answer"


async def test_who_asks_at_once_shares_an_answer(core: Core) -> None:
    store = Counting()
    reader = reader_of(core, store, 0.001)
    found = await asyncio.gather(*(reader.overview(SPAN) for _ in range(50)))
    assert len({id(each) for each in found}) == store.computed == 1
