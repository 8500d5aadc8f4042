"""Folds of two transactions at once on one player: whoever commits last, the outcome is the same."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from grandstand.domain.folding import Tally, Value
from grandstand.storage.entries import Entry
from tests.support.core import Core, minutes

pytestmark = pytest.mark.anyio

BOARD = 7
TIES = (b"\x80", b"\x90")
RULES: list[tuple[Any, Any]] = [
    ("best", "desc"),
    ("best", "asc"),
    ("latest", "desc"),
    ("sum", "desc"),
    ("count", "asc"),
]


def tally(operator: Any, order: Any, *values: Value) -> dict[int, Tally]:
    found = Tally(operator, order)
    for value in values:
        found.add("ann", value)
    return {BOARD: found}


def value(score: int, minute: int) -> Value:
    return Value(score, TIES[minute % 2], minutes(minute), UUID(int=1000 * score + minute), f"metadata at {minute}")


async def stored(core: Core) -> tuple[Any, ...] | None:
    row = await core.database.pool.fetchrow(
        "SELECT score, tie_key, achieved_at, event_id, metadata, version FROM entries"
    )
    return None if row is None else tuple(row)


async def is_blocked(core: Core) -> bool:
    return bool(await core.database.pool.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


@pytest.mark.parametrize("held", [None, value(5, 5)], ids=["new", "held"])
@pytest.mark.parametrize(
    ("first", "second"),
    [(value(9, 9), value(7, 7)), (value(1, 1), value(3, 3)), (value(9, 1), value(9, 0))],
    ids=["both later", "both earlier", "equal scores"],
)
@pytest.mark.parametrize(("operator", "order"), RULES)
@pytest.mark.parametrize("is_swapped", [False, True])
async def test_two_at_once(
    core: Core, operator: Any, order: Any, first: Value, second: Value, held: Value | None, is_swapped: bool
) -> None:
    if is_swapped:
        first, second = second, first
    values = [first, second] if held is None else [held, first, second]
    if held is not None:
        async with core.database.transaction() as connection:
            await core.entries.fold(connection, tally(operator, order, held))

    async def later() -> list[Entry]:
        async with core.database.transaction() as connection:
            await core.ledger.join(connection)
            return await core.entries.fold(connection, tally(operator, order, second))

    async with core.database.transaction() as connection:
        await core.ledger.join(connection)
        changed = await core.entries.fold(connection, tally(operator, order, first))
        waiting = asyncio.ensure_future(later())
        while not waiting.done() and not await is_blocked(core):
            await asyncio.sleep(0)
    changed += await asyncio.wait_for(waiting, 10)

    expected = tally(operator, order, *values)[BOARD].values["ann"]
    found = await stored(core)
    assert found is not None
    assert found[:5] == (expected if operator in ("best", "latest") else expected._replace(tie_key=found[1]))
    versions = [entry.version for entry in changed]
    assert versions == sorted(set(versions)), "a later commit has a higher version"
    if changed:
        newest = changed[-1]
        assert (newest.score, newest.tie_key, newest.achieved_at, newest.metadata) == (*found[:3], found[4])
        assert newest.version == found[5]


async def test_what_improves_nothing_is_not_written(core: Core) -> None:
    for operator in ("best", "latest"):
        await core.reset()
        async with core.database.transaction() as connection:
            assert len(await core.entries.fold(connection, tally(operator, "desc", value(5, 5)))) == 1
            before = await connection.fetchval("SELECT ctid::text || version FROM entries")
            for _ in range(2):
                assert await core.entries.fold(connection, tally(operator, "desc", value(4, 4))) == []
                assert await core.entries.fold(connection, tally(operator, "desc", value(5, 5))) == []
            assert await connection.fetchval("SELECT ctid::text || version FROM entries") == before


async def test_boards_of_every_kind_fold_in_one_batch(core: Core) -> None:
    tallies = {}
    for ranking_id, (operator, order) in enumerate(RULES, start=1):
        tallies[ranking_id] = tally(operator, order, value(5, 5), value(7, 3))[BOARD]
    tallies[99] = Tally("best", "desc")
    async with core.database.transaction() as connection:
        changed = await core.entries.fold(connection, tallies)
        found = await core.entries.find(connection, [(ranking_id, "ann") for ranking_id in range(9)] + [(1, "bob")])
    assert sorted(changed) == sorted(found)
    assert {entry.ranking_id: entry.score for entry in changed} == {1: 7, 2: 5, 3: 5, 4: 12, 5: 12}
