"""What a worker makes of a whole batch at once is what it would make of its events one by one."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from grandstand import clock
from grandstand.domain.event_model import Event
from tests.support.core import Core, block, event, minutes

pytestmark = pytest.mark.anyio

BOUNDARY = datetime(2027, 1, 1, tzinfo=UTC)
BEFORE, AFTER = BOUNDARY - timedelta(seconds=1), BOUNDARY


async def test_of_an_id_that_comes_several_times_the_first_delivery_stays(core: Core) -> None:
    twice = [event("ann", score, event_id=UUID(int=1)) for score in (5, 9, 7)]
    other = event("bob", 1, event_id=UUID(int=2))
    applied = await core.applier.apply(
        [block([twice[0], other, twice[1]], minutes(1)), block([twice[2]], minutes(0)), block([other], minutes(2))]
    )
    assert (applied.stored, applied.duplicates) == (2, 3)
    rows = await core.database.pool.fetch("SELECT user_id, received_at, payload::text FROM events ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("ann", minutes(1), '{"score": 5}'), ("bob", minutes(1), '{"score": 1}'),
    ]  # fmt: skip
    await core.check("global", [twice[0], other])


async def test_a_batch_of_known_and_new_events_of_two_months_is_stored_and_queued_once(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "now", lambda: AFTER + timedelta(days=60))
    await core.define("count", operator="count", field=None)
    events = [event(f"p{number % 3}", number, event_id=UUID(int=number * 7919 % 101 + 1)) for number in range(60)]
    await core.applier.apply([block(events[:20], BEFORE)])
    applied = await core.applier.apply(
        [
            block(events[10:40], BEFORE),
            block(events[30:50], AFTER),
            block(events[5:15], AFTER),
            block(events[45:], AFTER),
        ]
    )
    assert (applied.stored, applied.duplicates) == (40, 75 - 40)
    await core.check("count", events)
    rows = await core.database.pool.fetch(
        "SELECT tableoid::regclass::text AS name, array_agg(id ORDER BY id) AS ids FROM events GROUP BY 1"
    )
    expected = {"events_2026_12": events[:40], "events_2027_01": events[40:]}
    assert {row["name"]: row["ids"] for row in rows} == {
        name: sorted(item.id for item in theirs) for name, theirs in expected.items()
    }
    queued = await core.database.pool.fetch(
        "SELECT received_month, unnest(event_ids) AS id FROM rollup_queue ORDER BY received_month, id"
    )
    assert [(str(row["received_month"]), row["id"]) for row in queued] == [
        (month, event_id)
        for month, theirs in (("2026-12-01", events[:40]), ("2027-01-01", events[40:]))
        for event_id in sorted(item.id for item in theirs)
    ]


@contextmanager
def peak_mb() -> Iterator[list[float]]:
    found: list[float] = []
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1] / 2**20)
    finally:
        tracemalloc.stop()


async def test_the_payloads_of_a_batch_are_never_all_decoded_at_once(core: Core) -> None:
    # 16 KiB of text that take 300 KiB when decoded.
    payload = msgspec.Raw(b'{"score":1,"all":[' + b"{}," * 5_400 + b"0]}")
    events = [Event("game_ended", f"p{number}", payload, UUID(int=number + 1), minutes(0)) for number in range(100)]
    blocks = [block(events)]
    with peak_mb() as found:
        await core.applier.apply(blocks)
    # The batch is 1.6 MiB as it comes, and stands in memory a few times as that.
    assert found[0] < 16
    assert (await core.reader.page("global")).total == 100
