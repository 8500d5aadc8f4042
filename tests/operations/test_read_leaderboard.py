"""Reads: pages, cursors, one user, neighbours, lookups; from the rank index and, without it, from PostgreSQL."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from grandstand import clock
from grandstand.domain.errors import InvalidError, NotFoundError
from grandstand.operations.find_ranking import Part
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.storage.entries import Entry
from grandstand.storage.windows import Window
from tests.support.core import NOON, Core, NoIndex, event, minutes, standing

pytestmark = pytest.mark.anyio


class NoEntries:
    """Stands where PostgreSQL's reads stand, and must not be asked."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Window]]:
        raise AssertionError("the rank index should have answered")


@pytest.fixture(params=["index", "entries"])
def reader(core: Core, request: pytest.FixtureRequest) -> LeaderboardReader:
    """Both ways of answering; each alone."""
    if request.param == "index":
        core.reader = core.new_reader(entry_reads=NoEntries())  # type: ignore[arg-type]
    else:
        core.reader = core.new_reader(index=NoIndex(core.valkey, core.prefix))
    return core.reader


async def ranked(core: Core, *users: str) -> None:
    """Players in this order on `global`."""
    await core.apply(*(event(user, -place) for place, user in enumerate(users)))


async def move(core: Core, user_id: str, score: int) -> None:
    await core.apply(event(user_id, score))


async def remove(core: Core, user_id: str) -> None:
    await core.definer.remove_user("global", user_id)


def names(found: Any) -> list[str]:
    return [entry.user_id for entry in found.entries]


async def test_an_empty_board(core: Core, reader: LeaderboardReader) -> None:
    page = await reader.page("global", user_id="ann")
    assert (page.total, page.entries, page.next_cursor, page.user) == (0, [], None, None)
    assert (page.leaderboard, page.period, page.period_ends_at) == ("global", "all_time", None)
    assert (await reader.page("global", from_rank=5)).entries == []
    for call in (reader.user("global", "ann"), reader.nearby("global", "ann")):
        with pytest.raises(NotFoundError) as caught:
            await call
        assert caught.value.code == "not_ranked"
    found = await reader.lookup("global", ["ann", "bob"])
    assert (found.total, found.entries, found.not_ranked) == (0, [], ["ann", "bob"])


async def test_one_player(core: Core, reader: LeaderboardReader) -> None:
    await core.apply(event("ann", 7, at=minutes(3)))
    page = await reader.page("global", user_id="ann")
    assert page.total == 1
    assert page.entries == [page.user]
    assert page.next_cursor is None
    own = await reader.user("global", "ann")
    assert (own.rank, own.score, own.achieved_at, own.total, own.percentile) == (1, 7, minutes(3), 1, 100)
    near = await reader.nearby("global", "ann")
    assert (names(near), near.user, near.total) == (["ann"], near.entries[0], 1)


async def test_without_a_user_the_page_does_not_speak_of_one(core: Core, reader: LeaderboardReader) -> None:
    import msgspec

    assert b'"user"' not in msgspec.json.encode(await reader.page("global"))
    assert b'"user":null' in msgspec.json.encode(await reader.page("global", user_id="nobody"))


async def test_pages_of_every_size_hold_everyone_once_in_order(core: Core, reader: LeaderboardReader) -> None:
    users = [f"p{number:02}" for number in range(25)]
    await ranked(core, *users)
    for limit in (1, 2, 7, 24, 25, 26, 1000):
        assert [(row.rank, row.user_id) for row in await core.walk("global", limit)] == list(enumerate(users, 1))


async def test_the_last_page_has_no_cursor(core: Core, reader: LeaderboardReader) -> None:
    await ranked(core, *"abcd")
    assert (await reader.page("global", limit=4)).next_cursor is None
    first = await reader.page("global", limit=2)
    assert first.next_cursor is not None
    assert (await reader.page("global", limit=2, cursor=first.next_cursor)).next_cursor is None


async def test_from_rank(core: Core, reader: LeaderboardReader) -> None:
    await ranked(core, *"abcde")
    for rank, found in ((1, "abcde"), (3, "cde"), (5, "e"), (6, ""), (2**53, "")):
        page = await reader.page("global", from_rank=rank)
        assert "".join(names(page)) == found
        assert [entry.rank for entry in page.entries] == list(range(rank, rank + len(found)))
        assert page.total == 5
    assert await core.walk("global", 2, from_rank=2) == (await core.walk("global"))[1:]


async def test_a_cursor_while_scores_change(core: Core, reader: LeaderboardReader) -> None:
    """Whoever does not move is neither skipped nor repeated, wherever the others go."""
    await ranked(core, *"abcdefgh")
    first = await reader.page("global", limit=3)
    await move(core, "h", 100)  # from behind the cursor to the front
    await move(core, "new", 50)
    second = await reader.page("global", limit=3, cursor=first.next_cursor)
    assert names(second) == ["d", "e", "f"]
    assert [entry.rank for entry in second.entries] == [6, 7, 8], "ranks are those of now"
    await move(core, "late", -6)  # reached later than g (-6), so behind it
    third = await reader.page("global", limit=3, cursor=second.next_cursor)
    assert names(third) == ["g", "late"]


async def test_a_cursor_whose_player_moved_or_left(core: Core, reader: LeaderboardReader) -> None:
    await ranked(core, *"abcdef")
    cursor = (await reader.page("global", limit=3)).next_cursor
    await move(core, "c", 100)  # the cursor's own place is empty now
    assert names(await reader.page("global", cursor=cursor)) == ["d", "e", "f"]
    await remove(core, "c")
    await remove(core, "d")
    page = await reader.page("global", cursor=cursor)
    assert names(page) == ["e", "f"]
    assert [entry.rank for entry in page.entries] == [3, 4]
    assert page.total == 4


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_a_cursor_inside_equal_scores(core: Core, reader: LeaderboardReader, order: str) -> None:
    await core.define("board", order=order)
    users = ["é", "a", "\uffff", "\U00010000", "aa", "z"]
    await core.apply(
        *(event(user, 5, at=minutes(minute)) for minute in (1, 0) for user in (f"{user}{minute}" for user in users))
    )
    rows = await core.walk("board", 1)
    assert rows == await core.computed("board")
    assert len(rows) == 12


async def test_a_cursor_survives_the_loss_of_the_index(core: Core) -> None:
    await ranked(core, *"abcdef")
    first = await core.reader.page("global", limit=2)
    await core.lose_valkey()
    second = await core.reader.page("global", limit=2, cursor=first.next_cursor)
    await core.rebuild("global")
    third = await core.reader.page("global", limit=2, cursor=second.next_cursor)
    assert names(first) + names(second) + names(third) == list("abcdef")


async def test_a_cursor_of_another_board_is_refused(core: Core, reader: LeaderboardReader) -> None:
    await core.define("other")
    await ranked(core, *"abc")
    cursor = (await reader.page("other", limit=1)).next_cursor
    with pytest.raises(InvalidError) as caught:
        await reader.page("global", cursor=cursor)
    assert [error.path for error in caught.value.errors] == ["cursor"]


@pytest.mark.parametrize("cursor", ["", "0", "null", "A" * 40, "\x00", "é", "a" * 5000])
async def test_a_text_that_is_no_cursor_is_refused(core: Core, reader: LeaderboardReader, cursor: str) -> None:
    with pytest.raises(InvalidError):
        await reader.page("global", cursor=cursor)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"from_rank": 0}, "from_rank"),
        ({"from_rank": -5}, "from_rank"),
        ({"from_rank": 2**53 + 1}, "from_rank"),
        ({"from_rank": 1, "cursor": "x"}, "from_rank"),
    ],
)
async def test_wrong_arguments_of_a_page(core: Core, arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await core.reader.page("global", **arguments)
    assert [error.path for error in caught.value.errors] == [field]


async def test_own_entry_beside_any_page(core: Core, reader: LeaderboardReader) -> None:
    await ranked(core, *"abcde")
    first = await reader.page("global", limit=1, user_id="d")
    for page in (
        first,
        await reader.page("global", limit=1, cursor=first.next_cursor, user_id="d"),
        await reader.page("global", from_rank=50, user_id="d"),
    ):
        assert page.user is not None
        assert (page.user.rank, page.user.user_id, page.user.score) == (4, "d", -3)


async def test_user_ranks_and_percentiles(core: Core, reader: LeaderboardReader) -> None:
    await ranked(core, *"abcd")
    for place, user in enumerate("abcd", 1):
        found = await reader.user("global", user)
        assert (found.rank, found.score, found.total) == (place, 1 - place, 4)
        assert found.percentile == {1: 100, 2: 75, 3: 50, 4: 25}[place]


async def test_nearby_in_the_middle_and_at_both_ends(core: Core, reader: LeaderboardReader) -> None:
    await ranked(core, *"abcdefg")
    for user, above, below, expected in [
        ("d", 5, 5, "abcdefg"),
        ("d", 1, 2, "cdef"),
        ("d", 0, 0, "d"),
        ("a", 2, 2, "abc"),
        ("g", 2, 2, "efg"),
        ("b", 2, 0, "ab"),
        ("f", 0, 2, "fg"),
        ("d", 100, 100, "abcdefg"),
    ]:
        page = await reader.nearby("global", user, above=above, below=below)
        assert "".join(names(page)) == expected
        assert page.user in page.entries
        assert [entry.rank for entry in page.entries] == ["abcdefg".index(name) + 1 for name in expected]
        assert page.total == 7


@pytest.mark.parametrize("arguments", [{"above": -1}, {"above": 101}, {"below": -1}, {"below": 101}])
async def test_wrong_arguments_of_nearby(core: Core, arguments: dict[str, int]) -> None:
    with pytest.raises(InvalidError) as caught:
        await core.reader.nearby("global", "ann", **arguments)
    assert [error.path for error in caught.value.errors] == list(arguments)


async def test_lookup_by_rank_with_repeated_and_unknown_users(core: Core, reader: LeaderboardReader) -> None:
    await ranked(core, *"abcde")
    found = await reader.lookup("global", ["e", "nobody", "b", "e", "b", "nobody", "who"])
    assert [(entry.rank, entry.user_id, entry.score) for entry in found.entries] == [(2, "b", -1), (5, "e", -4)]
    assert found.not_ranked == ["nobody", "who"]
    assert found.total == 5
    empty = await reader.lookup("global", [])
    assert (empty.entries, empty.not_ranked, empty.total) == ([], [], 5)


async def test_lookup_of_too_many(core: Core, reader: LeaderboardReader) -> None:
    assert len((await reader.lookup("global", [str(number) for number in range(200)])).not_ranked) == 200
    with pytest.raises(InvalidError) as caught:
        await reader.lookup("global", [str(number) for number in range(201)])
    assert [error.path for error in caught.value.errors] == ["user_ids"]


@pytest.mark.parametrize("user_id", ["", "\x00", "a\x00b", "complete", "é" * 300, "%", "\U0010ffff", "\ud800"])
async def test_users_that_cannot_exist_are_just_not_ranked(core: Core, reader: LeaderboardReader, user_id: str) -> None:
    await ranked(core, *"abc")
    for call in (reader.user("global", user_id), reader.nearby("global", user_id)):
        with pytest.raises(NotFoundError) as caught:
            await call
        assert caught.value.code == "not_ranked"
    page = await reader.page("global", user_id=user_id)
    assert (names(page), page.user) == (["a", "b", "c"], None)
    found = await reader.lookup("global", [user_id, "b"])
    assert (names(found), found.not_ranked) == (["b"], [user_id])


@pytest.mark.parametrize("key", ["", "nothing", "a\x00b", "\ud800", "x" * 5000, "Global"])
async def test_boards_that_do_not_exist(core: Core, key: str) -> None:
    for call in (
        core.reader.page(key),
        core.reader.user(key, "ann"),
        core.reader.nearby(key, "ann"),
        core.reader.lookup(key, []),
        core.reader.visibility(key),
    ):
        with pytest.raises(NotFoundError) as caught:
            await call
        assert caught.value.code == "leaderboard_not_found"


async def test_a_board_made_by_another_process_is_found_at_once(core: Core) -> None:
    elsewhere = core.new_definer()
    await elsewhere.put("fresh", b'{"event_type":"x","operator":"count","visibility":"private"}')
    assert core.catalog.get("fresh") is None
    assert (await core.reader.page("fresh")).total == 0
    assert await core.reader.visibility("fresh") == "private"


@pytest.mark.parametrize("order", ["desc", "asc"])
async def test_extreme_scores_and_times_rank_exactly(core: Core, reader: LeaderboardReader, order: str) -> None:
    await core.define("board", order=order)
    limit = 2**53 - 1
    scores = [0, 1, -1, limit, limit - 1, -limit, 1 - limit, 2**52, 2**52 + 1]
    times = [
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(1970, 1, 1, tzinfo=UTC),
        NOON,
        NOON + timedelta(microseconds=1),
        datetime(8999, 12, 31, 23, 59, 59, 999_999, UTC),
    ]
    events = [event(f"u{a}-{b}", score, at=at) for a, score in enumerate(scores) for b, at in enumerate(times)]
    random.Random(4).shuffle(events)
    await core.apply(*events)
    rows = await core.walk("board", 5)
    assert rows == await core.computed("board")
    assert len(rows) == len(events)
    assert {row.score for row in rows} == set(scores)
    for row in rows[::9]:
        own = await reader.user("board", row.user_id)
        assert (own.rank, own.score, own.achieved_at) == row[0:1] + row[2:4]
        assert (
            standing(await reader.nearby("board", row.user_id, above=1, below=1))
            == rows[max(0, row.rank - 2) : row.rank + 1]
        )


async def test_100_000_players(core: Core) -> None:
    randomly = random.Random(100_000)
    rows = [
        (f"player-{number:06}", randomly.randrange(20_000), NOON + timedelta(seconds=randomly.randrange(50)))
        for number in range(100_000)
    ]
    await core.fill("global", rows)
    computed = await core.computed("global")
    assert await core.walk("global", 1000) == computed
    assert len(computed) == 100_000
    for rank in (1, 2, 777, 50_000, 99_999, 100_000):
        row = computed[rank - 1]
        own = await core.reader.user("global", row.user_id)
        assert (own.rank, own.score, own.total) == (rank, row.score, 100_000)
        assert standing(await core.reader.page("global", from_rank=rank, limit=3)) == computed[rank - 1 : rank + 2]
        assert standing(await core.reader.nearby("global", row.user_id)) == computed[max(0, rank - 6) : rank + 5]
    wanted = randomly.sample(computed, 200)
    found = await core.reader.lookup("global", [row.user_id for row in wanted])
    assert [entry.rank for entry in found.entries] == sorted(row.rank for row in wanted)
    # The same from PostgreSQL alone.
    await core.lose_valkey()
    assert standing(await core.reader.page("global", from_rank=99_990)) == computed[99_989:]
    assert (await core.reader.user("global", computed[55_554].user_id)).rank == 55_555
    assert standing(await core.reader.nearby("global", computed[-1].user_id)) == computed[-6:]


async def test_an_entry_that_moves_leaves_its_old_place(core: Core) -> None:
    """Also when score and time change apart: the sorted set must hold one member a user."""
    board = await core.open_ranking("global")
    for version, (score, minute) in enumerate([(5, 1), (6, 1), (6, 0), (4, 3)], start=1):
        await core.index.publish([Entry(board, "ann", score, b"", minutes(minute), None, version)], {board: -1})
        page = await core.reader.page("global")
        assert [(entry.user_id, entry.score, entry.achieved_at) for entry in page.entries] == [
            ("ann", score, minutes(minute))
        ]


@pytest.mark.parametrize(
    ("part", "field"),
    [
        (Part(segment="DE"), "segment"),
        (Part(bucket="1"), "bucket"),
    ],
)
async def test_parts_that_a_board_does_not_have(core: Core, part: Part, field: str) -> None:
    await ranked(core, *"abc")
    for call in (core.reader.page("global", part=part), core.reader.user("global", "a", part=part)):
        with pytest.raises(InvalidError) as caught:
            await call
        assert [error.path for error in caught.value.errors] == [field]


@pytest.mark.parametrize("segment", ["", "x" * 65, "a\x00b", "\ud800"])
async def test_segments_that_cannot_be(core: Core, segment: str) -> None:
    await core.define("board", segment_by="country")
    with pytest.raises(InvalidError) as caught:
        await core.reader.page("board", part=Part(segment=segment))
    assert [error.path for error in caught.value.errors] == ["segment"]


@pytest.mark.parametrize("bucket", ["", "0", "-1", "1.5", "x", "\u0663", "9" * 10, "1" * 400, "\x00", "own", " 1"])
async def test_buckets_that_cannot_be(core: Core, bucket: str) -> None:
    await core.define("board", bucket_size=2)
    await ranked(core, *"abc")
    with pytest.raises(InvalidError) as caught:
        await core.reader.page("board", part=Part(bucket=bucket))
    assert [error.path for error in caught.value.errors] == ["bucket"]
    assert (await core.reader.page("board", part=Part(bucket="77"))).total == 0


@pytest.mark.parametrize("user_id", ["nobody", "", "a\x00b", "\ud800"])
async def test_the_own_bucket_of_someone_who_has_none(core: Core, user_id: str) -> None:
    await core.define("board", bucket_size=2)
    for _ in range(2):
        for call in (
            core.reader.page("board", user_id=user_id, part=Part(bucket="own")),
            core.reader.nearby("board", user_id, part=Part(bucket="own")),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.code == "not_ranked"
        await ranked(core, *"abc")


async def test_tiers_by_percent_are_exact(core: Core) -> None:
    """1.1 percent of 3,000 players are 33, in floats a little more."""
    await core.define("board", tiers=[{"id": "top", "top_percent": 1.1}, {"id": "half", "top_percent": 50}])
    await core.fill("board", [(f"p{number:04}", -number, NOON) for number in range(3000)])
    page = await core.reader.page("board", from_rank=33, limit=2)
    assert [(entry.rank, entry.tier) for entry in page.entries] == [(33, "top"), (34, "half")]
    page = await core.reader.page("board", from_rank=1500, limit=2)
    assert [(entry.rank, entry.tier) for entry in page.entries] == [(1500, "half"), (1501, None)]


async def test_a_walk_over_an_archive_goes_on_where_it_was(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    """The period is archived between two pages."""
    await core.define("board")
    await ranked(core, *"abcdef")
    await core.definer.reset("board")
    await core.refresh()
    part = Part(period="all_time")
    first = await core.reader.page("board", limit=2, part=part)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=10))
    await core.new_closer().close()
    await core.sweeper.sweep()
    second = await core.reader.page("board", limit=2, part=part, cursor=first.next_cursor)
    third = await core.reader.page("board", limit=2, part=part, cursor=second.next_cursor)
    assert names(first) + names(second) + names(third) == list("abcdef")
    assert third.next_cursor is None
