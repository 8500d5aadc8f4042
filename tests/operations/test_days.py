"""Partitions of a day beside those of a month: an id counts once in any mix, and nobody ever finds a gap."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grandstand import clock
from grandstand.domain.events import Event
from grandstand.domain.partitions import PartitionEvery, list_faults
from grandstand.operations.count_events import EventCounter
from grandstand.operations.restore_archive import ArchiveRestorer
from grandstand.workers.partition_keeper import PartitionKeeper
from tests.archive.year import YEAR_END, Archive
from tests.support.core import Core, event, split

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 12, 15, 12, tzinfo=UTC)
Step = tuple[PartitionEvery, int]
"""A batch while the setting is this, received so many hours after the first."""


class Time:
    def __init__(self, now: datetime) -> None:
        self.now = now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    moving = Time(NOW)
    monkeypatch.setattr(clock, "now", lambda: moving.now)
    return moving


async def names(core: Core) -> list[str]:
    async with core.database.connection() as connection:
        return [each.name for each in await core.event_log.partitions(connection)]


async def keep(core: Core, every: PartitionEvery, now: datetime, ahead: int = 2) -> None:
    """A look of a scheduler with that setting; afterwards nothing is missing."""
    core.event_log.every = every
    await PartitionKeeper(core.database, core.event_log, ahead).keep()
    async with core.database.connection() as connection:
        assert list_faults(await core.event_log.partitions(connection), now) == []


async def check_once(core: Core, events: Sequence[Event]) -> None:
    rows = await core.database.pool.fetch("SELECT id, count(*) FROM events GROUP BY id")
    assert {row["id"]: row["count"] for row in rows} == {item.id: 1 for item in events}
    await core.check("sum", events)
    await EventCounter(core.database, core.event_log).count()
    counted = await core.database.pool.fetchval("SELECT sum(events)::int FROM rollups WHERE grain = 'hour'")
    months = await core.database.pool.fetchval("SELECT sum(events)::int FROM rollup_months")
    assert (counted or 0) == (months or 0) == len(events)


@given(
    steps=st.lists(st.tuples(st.sampled_from(["month", "day"]), st.integers(0, 24 * 75)), min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=12)
async def test_an_id_counts_once_whatever_the_setting_was(core: Core, time: Time, steps: list[Step], seed: int) -> None:
    time.now = NOW
    await core.reset()
    await core.define("sum", operator="sum")
    chance = random.Random(seed)
    ids = [UUID(int=chance.getrandbits(128)) for _ in range(30)]
    events = [event(f"p{chance.randrange(4)}", chance.randrange(9), event_id=each) for each in ids]
    applier = core.new_applier()  # one of a process that has known each setting
    sent: set[UUID] = set()
    for every, hours in steps:
        core.event_log.every = every
        time.now = NOW + timedelta(hours=hours)
        if chance.random() < 0.5:
            await keep(core, every, time.now)
        for batch in split(chance.sample(events, 8), chance, 4):
            sent |= {item.id for item in batch}
            core.applier = chance.choice([applier, core.new_applier()])
            await core.apply(*batch, received_at=time.now - timedelta(hours=chance.choice([0, 0, 1, 30])))
    await check_once(core, [item for item in events if item.id in sent])
    await EventCounter(core.database, core.event_log).rebuild()
    await check_once(core, [item for item in events if item.id in sent])


async def test_a_change_to_days_takes_hold_with_the_next_month(core: Core, time: Time) -> None:
    await keep(core, "month", time.now)
    assert await names(core) == ["events_2026_12", "events_2027_01", "events_2027_02"]
    await core.apply(event("ann"), received_at=datetime(2027, 2, 1, tzinfo=UTC))
    for _ in range(2):
        await keep(core, "day", time.now)
        assert await names(core) == ["events_2026_12", "events_2027_01_01", "events_2027_01_02", "events_2027_02"], (
            "a month with events stays"
        )
    time.now = datetime(2027, 1, 31, 5, tzinfo=UTC)
    await keep(core, "day", time.now)
    assert (await names(core))[-2:] == ["events_2027_02", "events_2027_03_01"]
    await keep(core, "month", time.now)
    assert (await names(core))[-2:] == ["events_2027_02", "events_2027_03"]


async def test_a_change_to_months_goes_on_in_days_to_the_end_of_the_month(core: Core, time: Time) -> None:
    await keep(core, "day", time.now)
    assert await names(core) == ["events_2026_12_15", "events_2026_12_16", "events_2026_12_17"]
    await keep(core, "month", time.now)
    assert await names(core) == ["events_2026_12_15", "events_2026_12_16", "events_2026_12_17"]
    time.now = datetime(2026, 12, 30, 3, tzinfo=UTC)
    await keep(core, "day", time.now)
    assert (await names(core))[-1] == "events_2027_01_01"
    await keep(core, "month", time.now)
    assert (await names(core))[-3:] == ["events_2026_12_30", "events_2026_12_31", "events_2027_01"]


async def test_partitions_in_use_stay(core: Core, time: Time) -> None:
    await keep(core, "month", time.now)
    async with core.database.snapshot() as reader:
        await core.event_log.hold(reader)
        await keep(core, "day", time.now)
        assert await names(core) == ["events_2026_12", "events_2027_01", "events_2027_02"]
    await keep(core, "day", time.now)
    assert await names(core) == ["events_2026_12", "events_2027_01_01", "events_2027_01_02"]


@pytest.mark.parametrize(("first", "then"), [("month", "day"), ("day", "month")])
async def test_an_archive_comes_back_among_partitions_of_the_other_kind(
    core: Core, time: Time, tmp_path: Path, first: Any, then: Any
) -> None:
    time.now = YEAR_END
    archive = Archive(core, str(tmp_path))
    core.event_log.every = first
    days = [datetime(2026, 3, day, 12, tzinfo=UTC) for day in (3, 3, 17, 18)]
    old = [event("ann", 1, at=day) for day in days]
    for item, day in zip(old, days, strict=True):
        await core.apply(item, received_at=day)
    await EventCounter(core.database, core.event_log).count()
    assert await archive.run() == (1 if first == "month" else 3)
    core.event_log.every = then
    late = event("ann", 1, at=days[2])
    for item in (old[2], late):
        await core.apply(item, received_at=days[2] + timedelta(hours=1))
    assert await names(core) == [f"events_2026_03{'_17' if then == 'day' else ''}"]
    await archive.check([*old, late])
    await archive.verify()
    restorer = ArchiveRestorer(core.database, core.ledger, archive.archives, archive.reader, archive.archiver())
    for row in await core.database.pool.fetch("SELECT archive_id FROM event_archives"):
        await restorer.restore(row["archive_id"], YEAR_END + timedelta(days=1))
    assert await archive.archived() == []
    await archive.check([*old, late])
    assert await archive.run() == 0, "what was brought back stays for its time"
    await archive.verify()
    await EventCounter(core.database, core.event_log).count()
    await EventCounter(core.database, core.event_log).rebuild()
    held = [name for name in await names(core) if name.startswith("events_2026_03")]
    assert await archive.run(YEAR_END + timedelta(days=2)) == len(held)
    await core.apply(old[0], late, received_at=days[0])
    await archive.check([*old, late])
    await archive.verify()
