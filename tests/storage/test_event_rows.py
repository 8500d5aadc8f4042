"""Rows that we encode ourselves are read back as the values that went in, from both tables."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grandstand.domain.event_model import NEWEST, OLDEST, StreamedEvent
from grandstand.domain.partitions import month_at
from grandstand.storage.event_log import EventLog, RowRefusedError
from grandstand.storage.event_rows import EventRows
from grandstand.storage.rollups import RollupStore
from tests.support.core import Core

pytestmark = pytest.mark.anyio

MONTH = month_at(datetime(2026, 7, 1, tzinfo=UTC))
RECEIVED = datetime(2026, 7, 9, 12, 30, 15, 123_456, UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=255)
MOMENTS = st.datetimes(
    OLDEST.replace(tzinfo=None),
    NEWEST.replace(tzinfo=None),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))]),
)
EVENTS = st.builds(
    StreamedEvent,
    event_type=st.sampled_from(["game_ended", "NULL", "a.b:c-d_e"]),
    user_id=TEXTS | st.sampled_from(["NULL", '{"a",}', "\\", "\U0001f3c6" * 255]),
    payload=st.builds(lambda value: msgspec.Raw(msgspec.json.encode({"a": value})), TEXTS | st.integers() | st.none()),
    id=st.uuids().map(str),
    occurred_at=MOMENTS,
)


class _TakenBackError(Exception):
    pass


async def read_back(core: Core, events: Sequence[StreamedEvent]) -> tuple[list[tuple[Any, ...]], tuple[Any, ...]]:
    rows = EventRows([(event, RECEIVED) for event in events])
    stored: list[tuple[Any, ...]] = []
    queued: tuple[Any, ...] = ()
    try:
        async with core.database.transaction() as connection:
            await EventLog().store(connection, MONTH, rows)
            await RollupStore().enqueue(connection, MONTH, rows)
            stored = [tuple(row) for row in await connection.fetch("SELECT * FROM events ORDER BY id")]
            queued = tuple(await connection.fetchrow(
                f"SELECT {', '.join(EventRows.QUEUE_COLUMNS)} FROM rollup_queue"
            ))  # fmt: skip
            raise _TakenBackError
    except _TakenBackError:
        return stored, queued


async def test_values_come_back_as_they_were(core: Core) -> None:
    async with core.database.connection() as connection:
        await EventLog().create_partition(connection, MONTH.starts_at)
        columns = [row[0] for row in await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0 ORDER BY attnum"
        )]  # fmt: skip
    loop = asyncio.get_running_loop()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(EVENTS, min_size=1, max_size=12, unique_by=lambda event: event.id))
    def hold(events: list[StreamedEvent]) -> None:
        events.sort(key=lambda event: event.id)
        future = asyncio.run_coroutine_threadsafe(read_back(core, events), loop)
        stored, queued = future.result(30)
        found = [dict(zip(columns, row, strict=True)) for row in stored]
        assert [
            (str(row["id"]), row["received_at"], row["occurred_at"], row["event_type"], row["user_id"]) for row in found
        ] == [(event.id, RECEIVED, event.occurred_at, event.event_type, event.user_id) for event in events]
        assert [msgspec.json.decode(row["payload"]) for row in found] == [
            msgspec.json.decode(event.payload) for event in events
        ]
        first, until, count, types, users, moments, ids = queued
        assert (first, until, count) == (date(2026, 7, 1), date(2026, 8, 1), len(events))
        assert types == [event.event_type for event in events]
        assert users == [event.user_id for event in events]
        assert moments == [event.occurred_at for event in events]
        assert [str(each) for each in ids] == [event.id for event in events]

    await asyncio.to_thread(hold)


def event(number: int, **changes: Any) -> StreamedEvent:
    values = {
        "event_type": "game_ended", "user_id": "ann", "payload": msgspec.Raw(b"{}"), "occurred_at": RECEIVED,
        "id": f"00000000-0000-7000-8000-{number:012d}",
    }  # fmt: skip
    return StreamedEvent(**(values | changes))


@pytest.mark.parametrize(
    "changes", [{"user_id": "a\x00b"}, {"payload": msgspec.Raw(b'{"a":"\\u0000"}')}, {"payload": msgspec.Raw(b"{")}]
)
async def test_a_row_that_the_database_refuses_is_named(core: Core, changes: dict[str, Any]) -> None:
    bad = event(2, **changes)
    async with core.database.connection() as connection:
        await EventLog().create_partition(connection, MONTH.starts_at)
    with pytest.raises(RowRefusedError) as caught:
        await read_back(core, [event(1), bad, event(3)])
    assert caught.value.event_id == bad.id


@pytest.mark.parametrize(
    "text", ["", "no id", "0" * 36, "0" * 32, "{0000000-0000-7000-8000-00000000000}", "\u0660" * 36]
)
def test_an_id_in_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|hexadecimal"):
        EventRows([(event(1), RECEIVED), (event(2, id=text), RECEIVED)])
