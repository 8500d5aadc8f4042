"""The statements of every batch find their rows by index, however large the tables are."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from grandstand.storage import queries
from tests.support.core import NOON, Core

pytestmark = pytest.mark.anyio

ROWS = 100_000


@pytest.fixture
async def large(core: Core) -> Core:
    """100,000 entries of two boards and as many events in two months."""
    for month in (NOON - timedelta(days=31), NOON):
        async with core.database.connection() as connection:
            await core.event_log.create_partition(connection, month)
    await core.database.pool.execute(
        f"""
        INSERT INTO entries (ranking_id, user_id, score, achieved_at, event_id, version, total)
        SELECT n % 2 + 1, 'player-' || n, n, now(), gen_random_uuid(), n, n FROM generate_series(1, {ROWS}) n;
        INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload)
        SELECT gen_random_uuid(), '2026-10-20'::timestamptz + n % 20 * interval '1 day', now(), 'x', 'u', '{{}}'
        FROM generate_series(1, {ROWS}) n;
        """
    )
    return core


async def plan(core: Core, name: str, *arguments: Any) -> str:
    """The plan that a batch gets for a statement, as `ledger/join.sql` sets the planner."""
    async with core.database.transaction() as connection:
        await core.ledger.join(connection)
        # A plan of any arguments: that is what plan_cache_mode asks for, and what the hot path runs.
        rows = await connection.fetch(f"EXPLAIN (COSTS OFF) {queries.load(name)}", *arguments)
    return "\n".join(row[0] for row in rows)


COLUMNS = ("{1}", "{player-1}", "{5}", '{""}', [NOON], f"{{{UUID(int=1)}}}", "{NULL}")


@pytest.mark.parametrize("has_statistics", [False, True])
async def test_batches_use_indexes(large: Core, has_statistics: bool) -> None:
    if has_statistics:
        await large.database.pool.execute("ANALYZE entries, events")
    known = await plan(large, "events/find_known_ids.sql", f"{{{UUID(int=1)}}}")
    for partition in ("events_2026_10", "events_2026_11"):
        assert re.search(rf"Index (Only )?Scan using {partition}_id on {partition}", known), known
    assert "Seq Scan" not in known
    # Each partition evaluates its condition anew: ids that are taken apart there cost more than the visits together.
    conditions = re.findall(r"(?:Index|Filter) ?(?:Cond)?: (.*)", known)
    assert conditions
    assert not [condition for condition in conditions if "::" in condition], known
    for name, arguments in (
        ("entries/find_pairs.sql", ([1], ["player-1"])),
        ("entries/fold_best.sql", (*COLUMNS, -1)),
        ("entries/fold_latest.sql", COLUMNS),
    ):
        found = await plan(large, name, *arguments)
        assert "Nested Loop" in found, found
        assert "Index Scan using entries_pkey on entries e" in found, found
        assert re.search(r"Index Cond: \(\(ranking_id = .*\) AND \(user_id = .*\)\)", found), found
        assert "Seq Scan" not in found, found
    added = await plan(large, "entries/fold_sum.sql", *COLUMNS, 2**53 - 1)
    assert "Conflict Arbiter Indexes: entries_pkey" in added
    assert "Scan on entries" not in added


@pytest.mark.parametrize("has_statistics", [False, True])
async def test_attempts_find_their_players_and_no_others(core: Core, has_statistics: bool) -> None:
    # All of one occurrence: without statistics the planner takes that for a handful of rows.
    async with core.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        await connection.execute(
            f"""
            INSERT INTO participants (tournament_id, occurrence, user_id)
            SELECT 'cup', 1, 'player-' || n FROM generate_series(1, {ROWS // 5}) n
            """
        )
    if has_statistics:
        await core.database.pool.execute("ANALYZE participants")
    users = ["player-1", "player-2"]
    for name, arguments in (
        ("find_participants", (users,)),
        ("lock_participants", (users,)),
        ("add_attempts", (users, 1)),
        ("set_attempts", (users, 1)),
    ):
        found = await plan(core, f"tournaments/{name}.sql", "cup", 1, *arguments)
        assert re.search("Index Cond: .*user_id = ANY", found), found
        assert "Join Filter" not in found, found


@pytest.mark.parametrize("has_statistics", [False, True])
async def test_counting_looks_each_user_up(core: Core, has_statistics: bool) -> None:
    # A plan is kept from when it was made, which may be before there was anything.
    if has_statistics:
        await core.database.pool.execute(
            f"""
            INSERT INTO rollup_users (day, event_type, user_id, hours)
            SELECT '2026-11-24', t, 'player-' || n, 1 FROM generate_series(1, {ROWS // 5}) n, unnest(ARRAY['', 'a']) t;
            INSERT INTO first_events (user_id, occurred_at, event_id, event_type, payload)
            SELECT 'player-' || n, now(), gen_random_uuid(), 'a', '{{}}' FROM generate_series(1, {ROWS // 5}) n;
            ANALYZE rollup_users, first_events;
            """
        )
    for name in ("count", "keep_first"):
        async with core.database.transaction() as connection:
            await connection.execute(queries.load("rollups/plan.sql"))
            rows = await connection.fetch(f"EXPLAIN (COSTS OFF) {queries.load(f'rollups/{name}.sql')}", [1])
        found = "\n".join(row[0] for row in rows)
        looks = re.findall(r"(\w+) Scan .*?on (?:rollup\w*s|first_events)\b.*\n *(.*)", found)
        assert len(looks) == {"count": 7, "keep_first": 4}[name], found
        for scan, condition in looks:
            assert scan == "Tid" or re.match("Index Cond: .*(user_id|start|day) = ", condition), found


async def test_pieces_of_a_ranking_use_the_index(large: Core) -> None:
    await large.database.pool.execute("ANALYZE entries")
    for name, arguments in (
        ("entries/list_chunk.sql", (1, "player-5", 100)),
        ("entries/has_any.sql", ([1],)),
        ("entries/delete_chunk.sql", (1, 100)),
    ):
        found = await plan(large, name, *arguments)
        assert "entries_pkey" in found, found
        assert "Seq Scan" not in found, found


@pytest.mark.parametrize(
    ("name", "arguments", "index"),
    [
        ("entries/list_removals_since.sql", (NOON,), "removals_by_time"),
        ("rankings/find.sql", ([1], [1], [NOON], [""]), "rankings_leaderboard_id_epoch_started_at_part_key"),
        ("rankings/find_buckets.sql", (1, ["ann"]), "bucket_members_pkey"),
        ("archive/page.sql", (1, 5, 10), "archived_entries_pkey"),
        ("archive/find_users.sql", (1, ["ann"]), "archived_entries_by_user"),
        ("rankings/list_to_close.sql", (NOON, 10), "rankings_to_close"),
    ],
)
async def test_what_is_asked_often_uses_an_index(core: Core, name: str, arguments: tuple[Any, ...], index: str) -> None:
    found = await plan(core, name, *arguments)
    assert index in found, found
    assert not re.search("Seq Scan on (rankings|removals|bucket_members|archived_entries)", found), found


@pytest.mark.parametrize("has_statistics", [False, True])
async def test_bans_are_looked_up(core: Core, has_statistics: bool) -> None:
    await core.database.pool.execute(
        f"""
        INSERT INTO players (user_id, banned_at)
        SELECT 'player-' || n, CASE WHEN n % 3 = 0 THEN now() END FROM generate_series(1, {ROWS // 5}) n
        """
    )
    if has_statistics:
        await core.database.pool.execute("ANALYZE players")
    found = await plan(core, "bans/find.sql", "{player-1,player-3}")
    assert re.search(r"Index Cond: \(user_id = ANY ", found), found
    assert "Seq Scan" not in found, found
