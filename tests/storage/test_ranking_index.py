"""The rank index: versions decide, removals hold, losses are noticed, and its order is PostgreSQL's."""

import itertools
import random
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from grandstand.domain.ranking import prefix
from grandstand.operations.catalog import indexed
from grandstand.storage.entries import Entry
from grandstand.storage.index_changes import Change, pack
from grandstand.storage.index_reads import Indexed, IndexIncompleteError
from grandstand.storage.ranking_index import RankingIndex
from grandstand.storage.valkey_scripts import Script
from tests.support.core import NOON, Core, minutes

pytestmark = pytest.mark.anyio

BOARD = 7
INDEXED = Indexed(BOARD, 1, 0, has_metadata=False)


@pytest.fixture
async def index(core: Core) -> RankingIndex:
    """An empty, complete index of one board whose lower scores are ahead."""
    await core.index.complete_new([BOARD])
    return core.index


async def publish(index: RankingIndex, *versions: tuple[str, int, int]) -> None:
    """Publish (user, score, version) in this order, each by itself."""
    for user_id, score, version in versions:
        await index.publish([Entry(BOARD, user_id, score, b"", minutes(version), None, version)], {BOARD: 1})


async def publish_raw(core: Core, *changes: Change) -> int:
    """Run the script itself: it can also remove users."""
    name = f"{core.prefix}:{{r{BOARD}}}"
    keys = (f"{name}:ranks", f"{name}:holders", f"{name}:removed", f"{name}:metadata")
    taken: int = await Script("publish.lua").run(core.valkey, keys, pack(changes))
    return taken


def removal(user_id: str, version: int) -> Change:
    return Change(user_id, version)


def entry(user_id: str, score: int, version: int) -> Change:
    return Change(user_id, version, score, prefix(b"", minutes(version)))


async def content(index: RankingIndex, count: int = 1000) -> list[tuple[int, str, int]]:
    window = await index.from_rank(INDEXED, 1, count)
    assert window.total == len(window.entries)
    return [(found.rank, found.position.member[8:].decode(), found.position.position_score) for found in window.entries]


async def test_versions_published_in_any_order_leave_the_newest(core: Core, index: RankingIndex) -> None:
    versions = [("ann", 30, 1), ("ann", 10, 2), ("ann", 20, 3)]
    for number, order in enumerate(itertools.permutations(versions)):
        await index.delete(BOARD)
        await index.complete_new([BOARD])
        await publish(index, *order)
        assert await content(index) == [(1, "ann", 20)], number


async def test_the_same_version_again_changes_nothing(core: Core, index: RankingIndex) -> None:
    await publish(index, ("ann", 30, 5), ("ann", 10, 5))
    assert await content(index) == [(1, "ann", 30)]


async def test_versions_compare_as_numbers_up_to_48_bits(core: Core, index: RankingIndex) -> None:
    versions = [0, 1, 255, 256, 2**31, 2**32, 2**40 + 1, 2**48 - 1]
    random.Random(1).shuffle(versions)
    await publish_raw(core, *(Change("ann", version, version % 1000, prefix(b"", NOON)) for version in versions))
    assert await content(index) == [(1, "ann", (2**48 - 1) % 1000)]


async def test_a_call_of_many_entries_takes_each_once(core: Core, index: RankingIndex) -> None:
    """More than one command carries: users who come again in a later part, a removal among them, count by version."""
    entries = [entry(f"p{number:04}", number, number + 1) for number in range(5000)]
    again = [entry("p0000", 9_000, 6_000), entry("p0001", 9_001, 1), removal("p0002", 6_000), entry("p4999", 1, 6_000)]
    back = [
        removal("p0003", 6_000),
        *(entry(f"q{number:04}", 20_000, 1) for number in range(3000)),
        entry("p0003", 2, 6_001),
    ]
    taken = await publish_raw(core, *entries, *again, *back)
    assert taken == 5000 + 3 + 2 + 3000 - 1, "of p4999 the newest in one part is looked at only"
    scores = {user_id: score for _, user_id, score in await content(index, 10_000)}
    expected = {f"p{number:04}": number for number in range(5000)} | {f"q{number:04}": 20_000 for number in range(3000)}
    del expected["p0002"]
    assert scores == expected | {"p0000": 9_000, "p4999": 1, "p0003": 2}


async def test_long_texts_arrive_whole(core: Core) -> None:
    user_id, metadata = "\U0001f600" * 255, '{"text":"' + "é" * 100_000 + '"}'
    ranking = Indexed(BOARD, 1, 24, has_metadata=True)
    await core.index.complete_new([BOARD])
    rows = [("ann", None), (user_id, metadata), ("bob", None)]
    entries = [
        Entry(BOARD, user, -(2**53) + 1 + number, b"\xff" * 24, NOON, text or "{}", number)
        for number, (user, text) in enumerate(rows)
    ]
    await core.index.publish(entries, {BOARD: -1})
    window = await core.index.around(ranking, user_id, 1, 1)
    assert window.own is not None
    assert (window.own.rank, window.own.metadata, window.own.position.position_score) == (2, metadata, 2**53 - 2)
    assert window.own.position.member[32:].decode() == user_id
    assert [entry.metadata for entry in window.entries] == ["{}", metadata, "{}"]


async def test_a_removed_user_stays_removed_against_older_publishes(core: Core, index: RankingIndex) -> None:
    await publish(index, ("ann", 1, 1), ("bob", 2, 2))
    assert await publish_raw(core, removal("ann", 5)) == 1
    assert await content(index) == [(1, "bob", 2)]
    for version in (1, 3, 4, 5):
        assert await publish_raw(core, entry("ann", 9, version)) == 0
    assert await content(index) == [(1, "bob", 2)]


async def test_a_removed_user_comes_back_with_a_newer_version(core: Core, index: RankingIndex) -> None:
    await publish_raw(core, entry("ann", 1, 1), removal("ann", 5), entry("ann", 3, 6))
    assert await content(index) == [(1, "ann", 3)]
    assert await publish_raw(core, removal("ann", 5)) == 0
    assert await publish_raw(core, removal("ann", 6)) == 0
    assert await publish_raw(core, removal("ann", 7)) == 1
    assert await content(index) == []


async def test_an_older_removal_does_not_remove(core: Core, index: RankingIndex) -> None:
    await publish_raw(core, entry("ann", 1, 4), removal("ann", 3))
    assert await content(index) == [(1, "ann", 1)]


async def test_a_removal_before_the_first_publish_holds(core: Core, index: RankingIndex) -> None:
    await publish_raw(core, removal("ann", 5), entry("ann", 1, 4), entry("bob", 2, 1))
    assert await content(index) == [(1, "bob", 2)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(-3, 3)), st.integers(1, 8)), max_size=15
    )
)
async def test_any_mixture_leaves_the_newest_of_each_user(
    core: Core, index: RankingIndex, steps: list[tuple[str, int | None, int]]
) -> None:
    await index.delete(BOARD)
    await index.complete_new([BOARD])
    newest: dict[str, tuple[int, int | None]] = {}
    for user_id, score, version in steps:
        await publish_raw(core, removal(user_id, version) if score is None else entry(user_id, score, version))
        if version > newest.get(user_id, (0, 0))[0]:
            newest[user_id] = (version, score)
    expected = sorted((score, minutes(version), user) for user, (version, score) in newest.items() if score is not None)
    assert await content(index) == [(rank, user, score) for rank, (score, _, user) in enumerate(expected, 1)]


USERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
ROWS = st.dictionaries(
    USERS | st.sampled_from(["\uffff", "\U00010000", "\ue000", "a", "aa", "A", "é", "e\u0301"]),
    st.tuples(
        st.integers(1 - 2**53, 2**53 - 1) | st.sampled_from([0, 1, -1, 2**53 - 1, 1 - 2**53]),
        st.datetimes(timezones=st.just(UTC)).filter(lambda at: 1900 <= at.year < 9000)
        | st.sampled_from([NOON, datetime(1970, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC)]),
    ),
    min_size=1,
    max_size=25,
)


@pytest.mark.parametrize("order", ["desc", "asc"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(rows=ROWS)
@example(rows=dict.fromkeys(["\uffff", "\U00010000", "\ue000", "z", "aa", "a", "é"], (0, NOON)))
async def test_the_order_is_that_of_postgresql(core: Core, order: str, rows: dict[str, tuple[int, datetime]]) -> None:
    await core.define("board", order=order)
    await core.reset()
    await core.fill("board", [(user, score, at) for user, (score, at) in rows.items()])
    sign = -1 if order == "desc" else 1
    expected = sorted(rows, key=lambda user: (sign * rows[user][0], rows[user][1], user.encode()))
    walked = await core.walk("board", 3)
    assert [row.user_id for row in walked] == expected
    assert walked == await core.computed("board")
    assert {row.user_id: (row.score, row.achieved_at) for row in walked} == rows


async def test_a_lost_part_is_noticed_by_every_read(core: Core) -> None:
    for loss in ("all", "ranks", "holders", "one rank", "one holder", "the mark"):
        await core.reset()
        await core.fill("global", [(user, number, NOON) for number, user in enumerate("abcde")])
        board = indexed(core.board("global"), await core.ranking_id("global"))
        ranks, holders, *_ = await core.keys("global")
        assert (await core.index.from_rank(board, 1, 10)).total == 5
        match loss:
            case "all":
                await core.valkey.delete(ranks, holders)
            case "ranks":
                await core.valkey.delete(ranks)
            case "holders":
                await core.valkey.delete(holders)
            case "one rank":
                await core.valkey.zpopmin(ranks)
            case "one holder":
                await core.valkey.hdel(holders, "c")
            case "the mark":
                await core.valkey.hdel(holders, "")
        for read in (
            core.index.from_rank(board, 1, 10),
            core.index.around(board, "a", 1, 1),
            core.index.lookup(board, ["a"]),
        ):
            with pytest.raises(IndexIncompleteError):
                await read
        assert await core.index.find_incomplete([board]) == [board], loss


async def test_publishing_into_a_lost_index_does_not_make_it_complete(core: Core, index: RankingIndex) -> None:
    await publish(index, ("ann", 1, 1))
    await core.lose_valkey()
    await publish(index, ("bob", 1, 2))
    with pytest.raises(IndexIncompleteError):
        await index.from_rank(INDEXED, 1, 10)


async def test_a_lost_index_is_not_complete_for_being_called_new(core: Core, index: RankingIndex) -> None:
    """`complete_new` may come late: after workers have published, and after what they published was lost."""
    other = BOARD + 1
    there = INDEXED._replace(ranking_id=other)
    token = await index.begin_rebuild(there)
    await index.complete_new([other])
    assert await index.find_incomplete([there]) == [there], "a rebuild is under way"
    assert await index.finish_rebuild(there, token)


async def test_a_rebuild_is_not_finished_when_the_index_was_lost_meanwhile(core: Core, index: RankingIndex) -> None:
    token = await index.begin_rebuild(INDEXED)
    await core.lose_valkey()
    assert not await index.finish_rebuild(INDEXED, token)
    assert await index.find_incomplete([INDEXED]) == [INDEXED]


async def test_a_rebuild_is_not_finished_when_a_part_was_lost_meanwhile(core: Core, index: RankingIndex) -> None:
    token = await index.begin_rebuild(INDEXED)
    await publish(index, ("ann", 1, 1), ("bob", 1, 2))
    await core.valkey.delete(f"{core.prefix}:{{r{BOARD}}}:ranks")
    assert not await index.finish_rebuild(INDEXED, token)
    assert await index.find_incomplete([INDEXED]) == [INDEXED]
    token = await index.begin_rebuild(INDEXED)
    await publish(index, ("ann", 1, 1), ("bob", 1, 2))
    assert await index.finish_rebuild(INDEXED, token)
    assert [row[1] for row in await content(index)] == ["ann", "bob"]


async def test_two_rebuilds_at_once_do_not_hold_each_other_up(core: Core, index: RankingIndex) -> None:
    await core.lose_valkey()
    one = await index.begin_rebuild(INDEXED)
    await publish(index, ("ann", 1, 1))
    other = await index.begin_rebuild(INDEXED)
    await publish(index, ("ann", 1, 1))
    assert await index.finish_rebuild(INDEXED, one)
    assert await index.finish_rebuild(INDEXED, other)
    assert await content(index) == [(1, "ann", 1)]


async def test_requests_for_rebuilds_are_taken_once(core: Core, index: RankingIndex) -> None:
    for ranking_id in (5, 6, 5):
        await index.request_rebuild(ranking_id)
    assert sorted(await index.take_requests(10)) == [5, 6]
    assert await index.take_requests(10) == []


async def test_a_large_publish_goes_in_whole(core: Core, index: RankingIndex) -> None:
    entries = [Entry(BOARD, f"p{number}", number, b"", NOON, None, number) for number in range(1234)]
    entries += [Entry(BOARD + 1, "other", 1, b"", NOON, None, 1)]
    await index.publish(entries, {BOARD: 1, BOARD + 1: -1})
    assert (await index.from_rank(INDEXED, 1, 1)).total == 1234
