"""Equal scores: by tie-breaks of one event, then by who was first; the same everywhere, for every number there is."""

import math
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grandstand import clock
from grandstand.domain.ranking import tie_key
from grandstand.operations.find_ranking import Part
from tests.support import model
from tests.support.core import NOON, Core, NoIndex, event, minutes
from tests.support.model import rows
from tests.support.world import row_of

pytestmark = pytest.mark.anyio

LIMIT = 2**53 - 1
NUMBERS = st.one_of(
    st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**400), 10**400),
    st.sampled_from([0, -0.0, 0.5, -0.5, 5e-324, -5e-324, 1.7976931348623157e308, 2**53, 2**53 + 1, LIMIT, -LIMIT]),
)  # fmt: skip
VALUES = NUMBERS | st.sampled_from([None, "5", True, False, [], {}])


def in_order(value: Any, order: str) -> tuple[int, float]:
    """Better values first; whatever is no number that a double can hold comes last, whichever the order."""
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.inf
    except OverflowError:
        number = math.inf
    return (1, 0.0) if math.isinf(number) else (0, -number if order == "desc" else number)


@pytest.mark.parametrize("order", ["desc", "asc"])
@given(st.lists(VALUES, min_size=2, max_size=12))
def test_tie_keys_sort_as_their_values(order: Any, values: list[Any]) -> None:
    keys = [tie_key({"a": {"b": value}}, [(("a", "b"), order)]) for value in values]
    assert {len(key) for key in keys} == {8}
    for one, key in zip(values, keys, strict=True):
        for other, other_key in zip(values, keys, strict=True):
            left, right = in_order(one, order), in_order(other, order)
            assert (key < other_key) == (left < right), (one, other)
            assert (key == other_key) == (left == right), (one, other)


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=2, max_size=8),
    st.tuples(*[st.sampled_from(["desc", "asc"])] * 3),
)
def test_three_tie_breaks_sort_one_after_the_other(lines: list[tuple[Any, ...]], orders: tuple[Any, ...]) -> None:
    breaks = [((name,), order) for name, order in zip("abc", orders, strict=True)]

    def by_rule(line: tuple[Any, ...]) -> list[tuple[int, float]]:
        return [in_order(value, order) for value, order in zip(line, orders, strict=True)]

    def by_key(line: tuple[Any, ...]) -> bytes:
        return tie_key(dict(zip("abc", line, strict=True)), breaks)

    assert [by_rule(line) for line in sorted(lines, key=by_key)] == sorted(map(by_rule, lines))


async def read(core: Core, key: str, part: Part = Part()) -> list[model.Row]:  # noqa: B008
    return [row_of(entry) for entry in (await core.reader.page(key, limit=1000, part=part)).entries]


async def everywhere(core: Core, key: str, monkeypatch: pytest.MonkeyPatch) -> list[model.Row]:
    """The board, the same from the index, from PostgreSQL, after a rebuild and in the archive."""
    shown = await read(core, key)
    reader = core.reader
    core.reader = core.new_reader(NoIndex(core.valkey, core.prefix))
    assert await read(core, key) == shown
    core.reader = reader
    await core.lose_valkey()
    assert await read(core, key) == shown
    await core.new_keeper().keep()
    assert await core.is_complete(key)
    assert await read(core, key) == shown
    now = clock.now()
    await core.definer.reset(key)
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=10))
    assert await core.new_closer().close() >= 1
    await core.sweeper.sweep()
    await core.refresh()
    assert await read(core, key) == []
    assert await read(core, key, Part(period="all_time")) == shown
    for row in shown[:: max(1, len(shown) // 5)]:
        own = await core.reader.user(key, row.user_id, part=Part(period="all_time"))
        assert row_of(own) == row
    assert await core.database.pool.fetchval("SELECT count(*) FROM entries") == 0
    return shown


@pytest.mark.parametrize("operator", ["best", "latest"])
@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_ties_are_the_same_everywhere(
    core: Core, operator: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    randomly = random.Random(f"{operator} {order}")
    await core.definer.put("global", b'{"event_type":"unused","field":"score","operator":"best"}')
    definition = await core.define(
        "ties", operator=operator, order=order, keep=["assists", "time"],
        tie_breaks=[{"field": "assists", "order": "desc"}, {"field": "time", "order": "asc"}],
    )  # fmt: skip
    definition = core.board("ties").definition
    events = []
    for number in range(300):
        payload = {
            "score": randomly.choice([0, 5, -5, LIMIT, -LIMIT]),
            "assists": randomly.choice([0, -0.0, 1, 0.5, -1, 2**53, 2**53 + 1, None, "x", 1e300]),
            "time": randomly.choice([0.1, 0.2, 10, -0.0, None]),
        }
        if randomly.random() < 0.2:
            del payload["assists"]
        events.append(event(f"p{number % 60}", at=minutes(randomly.randrange(4)), payload=payload))
    for start in range(0, 300, 37):
        await core.apply(*events[start : start + 37])
    assert await everywhere(core, "ties", monkeypatch) == rows(definition, events)


async def test_tie_breaks_of_two_runs_are_never_mixed(core: Core) -> None:
    await core.define(
        "ties", tie_breaks=[{"field": "kills"}, {"field": "deaths", "order": "asc"}], keep=["kills", "deaths"]
    )
    runs = [{"kills": 9, "deaths": 9}, {"kills": 5, "deaths": 0}, {"kills": 9, "deaths": 8}, {"kills": 8, "deaths": 1}]
    for payload in runs:
        await core.apply(event("ann", payload={"score": 5, **payload}))
    assert [(row.score, row.metadata) for row in await read(core, "ties")] == [(5, {"kills": 9, "deaths": 8})]
    await core.apply(event("ann", payload={"score": 6, "kills": 0}))
    await core.apply(event("bob", payload={"score": 6, "kills": 0, "deaths": 7}, at=minutes(9)))
    assert [(row.user_id, row.metadata) for row in await read(core, "ties")] == [
        ("bob", {"kills": 0, "deaths": 7}),
        ("ann", {"kills": 0}),
    ]


async def test_whoever_reached_the_score_first_is_ahead_for_asc_too(core: Core) -> None:
    for order in ("desc", "asc"):
        await core.define(order, order=order)
    await core.apply(event("late", 5, at=minutes(3)), event("b", 5, at=minutes(1)), event("a", 5, at=minutes(1)))
    await core.apply(event("first", 5, at=minutes(0)), event("late", 5, at=minutes(2)))
    for order in ("desc", "asc"):
        assert [row.user_id for row in await read(core, order)] == ["first", "a", "b", "late"]


@pytest.mark.parametrize("operator", ["best", "latest", "sum", "count"])
@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_extremes_zero_and_what_changes_nothing(
    core: Core, operator: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An increment of 0, a lower score and the same score again leave everybody else where they were."""
    await core.definer.put("global", b'{"event_type":"unused","field":"score","operator":"best"}')
    definition = await core.define("board", operator=operator, order=order)
    scores = [LIMIT, LIMIT - 1, 1, 0, -1, 1 - LIMIT, -LIMIT]
    events = [event(f"p{number}", score, at=minutes(number)) for number, score in enumerate(scores)]
    events += [event(f"z{number}", 0, at=minutes(-number)) for number in range(5)]
    await core.apply(*events)
    assert {row.score for row in await read(core, "board")} == ({1} if operator == "count" else set(scores))
    for extra in (0, -0.0, -1, 1):
        more = [event(f"p{number}", extra, at=minutes(50 + number)) for number in range(len(scores))]
        events += more
        await core.apply(*more)
        assert await read(core, "board") == rows(definition, events)
        assert (await core.reader.page("board")).total == 12
    assert await everywhere(core, "board", monkeypatch) == rows(definition, events)


LINES = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(-2, 2), VALUES, st.integers(-1, 1)), min_size=1, max_size=15
)


@settings(max_examples=25)
@given(lines=LINES, is_asc=st.booleans())
async def test_any_ties_in_any_batches(core: Core, lines: list[Any], is_asc: bool) -> None:
    key = "asc" if is_asc else "desc"
    definition = await core.define(key, order=key, tie_breaks=[{"field": "tie", "order": "asc" if is_asc else "desc"}])
    await core.reset()
    # What a payload may hold is checked where events come in; numbers that no double holds are refused there.
    events = [
        event(user, at=NOON + timedelta(minutes=minute), payload={"score": score, "tie": tie})
        for user, score, tie, minute in lines
        if not isinstance(tie, int) or abs(tie) < 10**300
    ]
    for start in range(0, len(events), 4):
        await core.apply(*events[start : start + 4])
    assert await read(core, key) == rows(core.board(key).definition, events)
    assert definition.order == key
