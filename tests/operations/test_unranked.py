"""What a board cannot rank: the event is stored, the board unchanged, and the reason counted."""

from typing import Any

import pytest

from grandstand.domain.scores import SCORE_MAX
from tests.support.core import Core, event

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({}, "missing_field"),
        ({"score": None}, "missing_field"),
        ({"Score": 5}, "missing_field"),
        ({"score": "5"}, "not_a_number"),
        ({"score": True}, "not_a_number"),
        ({"score": [5]}, "not_a_number"),
        ({"score": {"value": 5}}, "not_a_number"),
        ({"score": 5.5}, "not_an_integer"),
        ({"score": SCORE_MAX + 1}, "out_of_range"),
        ({"score": 1e300}, "out_of_range"),
        ({"score": -101}, "below_min_score"),
        ({"score": 101}, "above_max_score"),
    ],
)
@pytest.mark.parametrize("operator", ["best", "latest", "sum"])
async def test_each_reason(core: Core, operator: str, payload: dict[str, Any], reason: str) -> None:
    await core.define("board", operator=operator, min_score=-100, max_score=100)
    kept = event("ann", 7)
    await core.apply(kept)
    applied = await core.apply(event("ann", payload=payload), event("bob", payload=payload))
    assert applied.stored == 2
    assert applied.unranked["board", reason] == 2
    assert [key for key in applied.unranked if key[0] == "board"] == [("board", reason)]
    await core.check("board", [kept])
    assert await core.count_events() == 3


async def test_boards_judge_the_same_event_each_for_itself(core: Core) -> None:
    await core.define("count", operator="count", field=None)
    await core.define("kills", operator="sum", field="stats.kills")
    events = [event("ann", payload={"stats": {"kills": 3.0}}), event("ann", 5)]
    applied = await core.apply(*events)
    assert dict(applied.unranked) == {("global", "missing_field"): 1, ("kills", "missing_field"): 1}
    for key in ("global", "count", "kills"):
        await core.check(key, events)


async def test_an_event_that_where_leaves_out_is_not_unranked(core: Core) -> None:
    await core.define("ranked", where={"mode": "ranked"}, event_type="match")
    applied = await core.apply(event(event_type="match", payload={"mode": "casual"}))
    assert (applied.stored, dict(applied.unranked)) == (1, {})


async def test_a_repeated_event_is_counted_as_unranked_once(core: Core) -> None:
    broken = event("ann", "text")
    assert (await core.apply(broken, broken)).unranked.total() == 1
    assert (await core.apply(broken)).unranked.total() == 0


async def test_events_of_no_board_are_stored(core: Core) -> None:
    applied = await core.apply(event(event_type="purchase", payload={"price": 5}))
    assert (applied.stored, dict(applied.unranked)) == (1, {})
    row = await core.database.pool.fetchrow("SELECT event_type, user_id, payload::text FROM events")
    assert tuple(row) == ("purchase", "ann", '{"price": 5}')


async def test_duplicates_inside_one_batch(core: Core) -> None:
    await core.define("sum", operator="sum")
    one = event("ann", 5)
    applied = await core.apply(one, one, event("ann", 1), one)
    assert (applied.stored, applied.duplicates) == (2, 2)
    assert (await core.reader.user("sum", "ann")).score == 6


@pytest.mark.parametrize(
    ("where", "payload", "counts"),
    [
        ({"pro": True}, {"pro": True}, True),
        ({"pro": True}, {"pro": 1}, False),
        ({"pro": 1}, {"pro": True}, False),
        ({"pro": 1}, {"pro": 1.0}, True),
        ({"pro": None}, {}, True),
        ({"pro": None}, {"pro": None}, True),
        ({"pro": None}, {"pro": False}, False),
        ({"a.b": "x"}, {"a": {"b": "x"}}, True),
        ({"a.b": "x"}, {"a.b": "x"}, False),
        ({"a.b": "x"}, {"a": [{"b": "x"}]}, False),
    ],
)
async def test_where_survives_the_way_through_the_database(
    core: Core, where: dict[str, Any], payload: dict[str, Any], counts: bool
) -> None:
    await core.define("board", operator="count", field=None, where=where)
    await core.apply(event("ann", payload=payload))
    assert (await core.reader.page("board")).total == int(counts)
