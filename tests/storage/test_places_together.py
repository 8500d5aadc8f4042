"""Places that are looked for together are the same as those looked for one by one, and as a walk over all ranks."""

import asyncio
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grandstand.storage.entries import Entry
from grandstand.storage.index_reads import Indexed, IndexIncompleteError
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.windows import Window
from tests.support.core import Core, minutes

pytestmark = pytest.mark.anyio
BOARD = 11
USERS = [f"p{number}" for number in range(8)] + ["é/ü", "\U0001f600", "10", "complete", "%s"]
"""Digits and marks among them: the script's arguments are numbers and users in turn."""


class Wanted(NamedTuple):
    user: str
    above: int
    below: int


class Row(NamedTuple):
    score: int
    minute: int
    ties: bytes


rows = st.dictionaries(
    st.sampled_from(USERS),
    st.builds(
        Row,
        st.one_of(st.integers(-1, 1), st.sampled_from([-(2**53) + 1, 2**53 - 1])),
        st.integers(0, 1),
        st.sampled_from([b"\x00" * 8, b"\xff" * 8, b"\x00\r\n\x00\xff\x00\x00\x01"]),
    ),
)
reach = st.sampled_from([0, 1, 3, 100])
wishes = st.lists(st.builds(Wanted, st.sampled_from([*USERS, "nobody"]), reach, reach), min_size=1, max_size=30)


async def fill(core: Core, ranking: Indexed, found: dict[str, Row]) -> RankingIndex:
    await core.index.delete(BOARD)
    await core.index.complete_new([BOARD])
    entries = [
        Entry(
            BOARD, user, row.score, row.ties[: ranking.tie_bytes], minutes(row.minute),
            f'{{"of":"{user}"}}' if ranking.has_metadata else None, number,
        )
        for number, (user, row) in enumerate(found.items())
    ]  # fmt: skip
    await core.index.publish(entries, {BOARD: 1})
    return core.index


def seen_from(whole: Window, prefix_bytes: int, wanted: Wanted) -> Window:
    """What a neighbourhood has to be, out of all ranks."""
    for place, entry in enumerate(whole.entries):
        if entry.position.member[prefix_bytes:].decode() == wanted.user:
            first = max(0, place - wanted.above)
            return Window(whole.total, entry, whole.entries[first : place + wanted.below + 1])
    return Window(whole.total, None, [])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(found=rows, wanted=wishes, tie_bytes=st.sampled_from([0, 8]), has_metadata=st.booleans())
async def test_together_is_as_one_by_one(
    core: Core, found: dict[str, Row], wanted: list[Wanted], tie_bytes: int, has_metadata: bool
) -> None:
    ranking = Indexed(BOARD, 1, tie_bytes, has_metadata=has_metadata)
    index = await fill(core, ranking, found)
    whole = await index.from_rank(ranking, 1, 1000)
    expected = [seen_from(whole, tie_bytes + 8, each) for each in wanted]
    assert await asyncio.gather(*(index.around(ranking, *each) for each in wanted)) == expected
    assert [await index.around(ranking, *each) for each in wanted] == expected
    alone = [seen_from(whole, tie_bytes + 8, Wanted(each.user, 0, 0)) for each in wanted]
    assert await asyncio.gather(*(index.place(ranking, each.user) for each in wanted)) == alone


async def test_an_index_that_has_something_else_in_a_users_place_is_not_complete(core: Core) -> None:
    ranking = Indexed(BOARD, 1, 0, has_metadata=False)
    index = await fill(core, ranking, {f"p{number}": Row(number, 0, b"") for number in range(3)})
    ranks = f"{core.prefix}:{{r{BOARD}}}:ranks"
    own = (await index.place(ranking, "p1")).own
    assert own is not None
    await core.valkey.zrem(ranks, own.position.member)
    await core.valkey.zadd(ranks, {b"12345678stranger": 1})
    for above in (0, 1):
        with pytest.raises(IndexIncompleteError):
            await index.around(ranking, "p1", above, 0)
    assert (await index.place(ranking, "p0")).own is not None


async def test_an_index_with_a_hole_says_so_to_all_and_answers_again_once_it_is_whole(core: Core) -> None:
    ranking = Indexed(BOARD, 1, 0, has_metadata=True)
    found = {f"p{number}": Row(number, 0, b"") for number in range(300)}
    index = await fill(core, ranking, found)
    holders = f"{core.prefix}:{{r{BOARD}}}:holders"
    held = await core.valkey.hget(holders, "p7")  # type: ignore[misc]
    await core.valkey.hdel(holders, "p7")  # type: ignore[misc]
    asked = [index.around(ranking, user, 3, 3) for user in found]
    told = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(each, IndexIncompleteError) for each in told)
    await core.valkey.hset(holders, "p7", held)  # type: ignore[misc]
    windows = await asyncio.gather(*(index.around(ranking, user, 100, 100) for user in found))
    assert [len(window.entries) for window in windows] == [
        min(rank, 100) + 1 + min(299 - rank, 100) for rank in range(300)
    ]
