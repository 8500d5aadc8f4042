"""Lists and look-ups visit as many rows as they show, however large their tables are.

Each statement runs as it does in production: prepared, several times on one connection, with statistics. What counts is
not what the plan is called but what it visits: rows that scans return and rows that filters throw away.
"""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from grandstand.storage import queries
from tests.support.core import NOON, Core

pytestmark = pytest.mark.anyio

FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
MIDDLE = UUID(int=10_000)
LIMIT = 10
VISITED_MAX = 300
USES = 7
"""PostgreSQL decides at the sixth use of a prepared statement whether a plan of any arguments will do."""

SEED = [
    """
    INSERT INTO leaderboards (key, definition, revision)
    SELECT 'b' || n, '{"visibility": "public"}', n FROM generate_series(1, 2000) n
    """,
    """
    INSERT INTO tournaments (tournament_id, leaderboard_id, definition)
    SELECT key, leaderboard_id, definition FROM leaderboards WHERE key LIKE 'b%'
    """,
    """
    INSERT INTO occurrences (tournament_id, occurrence, starts_at, ends_at, status, definition)
    SELECT 'b' || n / 10 + 1, n % 10, $1::timestamptz + n * interval '1 minute',
        $1::timestamptz + n * interval '2 minutes',
        CASE WHEN n % 10 < 9 THEN 'settled' WHEN n % 1000 = 999 THEN 'cancelled' ELSE 'active' END, '{}'
    FROM generate_series(0, 19999) n
    """,
    """
    INSERT INTO participants (tournament_id, occurrence, user_id)
    SELECT 'b1', 1, 'player-' || n FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO prizes (prize_id, tournament_id, occurrence, user_id, rule, rank, kind, amount, status,
        awarded_at, expires_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'b' || n % 20, n, 'player-' || n % 2000, 1, 1, 'gold', 1,
        CASE WHEN n % 100 = 0 THEN 'pending' ELSE 'claimed' END, now(), $1::timestamptz + n * interval '1 minute'
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO dead_letters (dead_letter_id, source, form, event_type, user_id, received_at, priority, events,
        body, error, message, attempts, first_failed_at, last_failed_at, status)
    SELECT lpad(to_hex(n), 32, '0')::uuid, n::text, 'event',
        CASE WHEN n % 500 = 1 THEN 'rare' ELSE 'game_ended' END, 'player-' || n % 2000, now(), 'high', 1, '',
        CASE WHEN n % 500 = 0 THEN 'rare' ELSE 'failed' END, '', 1, now(), now(),
        CASE WHEN n % 100 = 0 THEN 'dead' ELSE 'replayed' END
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO quarantine (quarantine_id, event_id, leaderboard_id, user_id, event_type, score, occurred_at,
        received_at, reason, status, quarantined_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid,
        (SELECT min(leaderboard_id) FROM leaderboards WHERE key LIKE 'b%') + n % 20, 'player-' || n % 2000,
        'game_ended', 1, now(), now(), 'rate', CASE WHEN n % 100 = 0 THEN 'held' ELSE 'rejected' END, now()
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO webhook_endpoints (endpoint_id, url, secret)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'https://x', 's' FROM generate_series(1, 2) n
    """,
    """
    INSERT INTO webhook_events (event_id, type, payload)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'x', '{}' FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO webhook_deliveries (event_id, endpoint_id, status)
    SELECT lpad(to_hex(n), 32, '0')::uuid, lpad(to_hex(n % 2 + 1), 32, '0')::uuid,
        CASE WHEN n % 200 = 0 THEN 'dead' ELSE 'delivered' END
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO audit_log (recorded_at, actor, action, target)
    SELECT $1::timestamptz + n * interval '1 minute', 'server:' || n % 2000,
        CASE WHEN n % 500 = 0 THEN 'rare' ELSE 'player.ban' END, 'player-' || n % 2000
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO erasures (erasure_id, user_hash, user_id, pseudonym, requested_at, finished_at)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 'x', CASE WHEN n % 1000 = 0 THEN 'player-' || n END,
        CASE WHEN n % 1000 = 0 THEN 'erased-' || lpad(to_hex(n), 32, '0') END,
        $1::timestamptz + n * interval '1 minute',
        CASE WHEN n % 1000 = 0 THEN NULL ELSE now() END
    FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO players (user_id, display_name) SELECT 'player-' || n, 'name' FROM generate_series(1, 20000) n
    """,
    """
    INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload)
    SELECT gen_random_uuid(), '2026-10-20'::timestamptz + n % 20 * interval '1 day' + n * interval '1 second', $1,
        'game_ended', 'player-' || n % 2000, '{}'
    FROM generate_series(1, 20000) n
    """,
]


async def seed(core: Core) -> None:
    for month in (NOON - timedelta(days=31), NOON):
        async with core.database.connection() as connection:
            await core.event_log.create_partition(connection, month)
    async with core.database.transaction() as connection:
        for statement in SEED:
            await connection.execute(statement.replace("$1", f"'{NOON.isoformat()}'"))
    await core.database.pool.execute("ANALYZE")


ALL_AUDIT = (2**62, None, None, None, None, None, LIMIT)
READS: list[tuple[str, tuple[Any, ...]]] = [
    ("prizes/list.sql", (None, None, FIRST, LIMIT)),
    ("prizes/list_of_users.sql", (["player-7", "player-8"], None, None, FIRST, LIMIT)),
    ("prizes/list_of_users.sql", (["player-7"], "claimed", "b7", FIRST, LIMIT)),
    ("prizes/list.sql", ("pending", None, FIRST, LIMIT)),
    ("prizes/list.sql", ("voided", None, FIRST, LIMIT)),
    ("prizes/list_newest.sql", ("player-7", LIMIT)),
    ("prizes/find.sql", (MIDDLE,)),
    ("tournaments/list.sql", ("b1", None, LIMIT, True)),
    ("tournaments/list.sql", ("", "cancelled", LIMIT, True)),
    ("tournaments/find.sql", ("b77", None)),
    ("tournaments/find.sql", ("b77", 3)),
    ("tournaments/find_participant.sql", ("b1", 1, "player-7")),
    ("dead_letters/list.sql", (None, None, None, None, LAST, LIMIT)),
    ("dead_letters/list.sql", ("dead", None, None, None, LAST, LIMIT)),
    ("dead_letters/list.sql", (None, None, "player-7", None, LAST, LIMIT)),
    ("dead_letters/list.sql", (None, "rare", None, None, LAST, LIMIT)),
    ("dead_letters/list.sql", (None, None, None, "rare", LAST, LIMIT)),
    ("dead_letters/find.sql", (MIDDLE,)),
    ("quarantine/list.sql", (None, None, None, LAST, LIMIT)),
    ("quarantine/list.sql", (None, None, "held", LAST, LIMIT)),
    ("quarantine/list.sql", (None, "player-7", None, LAST, LIMIT)),
    ("quarantine/list.sql", ("b7", None, None, LAST, LIMIT)),
    ("quarantine/list.sql", ("b777", None, None, LAST, LIMIT)),
    ("prizes/list.sql", (None, "b7", FIRST, LIMIT)),
    ("webhooks/list_deliveries.sql", (None, None, LAST, LAST, LIMIT)),
    ("webhooks/list_deliveries.sql", ("dead", None, LAST, LAST, LIMIT)),
    ("webhooks/list_deliveries.sql", (None, UUID(int=2), LAST, LAST, LIMIT)),
    ("audit/list_newest.sql", ALL_AUDIT),
    ("audit/list_newest.sql", (2**62, "server:7", None, None, None, None, LIMIT)),
    ("audit/list_newest.sql", (2**62, None, None, "player-7", None, None, LIMIT)),
    ("audit/list_newest.sql", (2**62, None, "rare", None, None, None, LIMIT)),
    ("audit/list_newest.sql", (2**62, None, "never", None, None, None, LIMIT)),
    ("audit/list_between.sql", (2**62, None, NOON + timedelta(minutes=9_000), LIMIT)),
    ("audit/list_between.sql", (2**62, NOON, NOON + timedelta(minutes=9), LIMIT)),
    ("audit/list_between.sql", (2**62, NOON + timedelta(minutes=30_000), None, LIMIT)),
    ("audit/list_between.sql", (500, NOON, None, LIMIT)),
    ("erasures/find_pending.sql", ("player-3000",)),
    ("erasures/list_pending.sql", (LIMIT,)),
    ("erasures/list_hashes.sql", (NOON + timedelta(minutes=19_990),)),
    ("players/find.sql", ("player-7",)),
    ("players/find_names.sql", (["player-7", "player-8"],)),
    ("players/find_seen.sql", ("player-7",)),
    ("export/events.sql", ("player-7",)),
    ("events/list_types.sql", (LIMIT,)),
    ("events/list_newest_of_types.sql", (NOON, LAST, ["game_ended", "none"], None, None, LIMIT)),
    ("events/list_newest_of_types.sql", (NOON, MIDDLE, ["game_ended"], NOON - timedelta(days=9), NOON, LIMIT)),
]


async def test_lists_and_look_ups_visit_what_they_show(core: Core) -> None:
    await seed(core)
    visited = {
        f"{number} {name} {arguments}": await rows_visited(core, name, arguments)
        for number, (name, arguments) in enumerate(READS)
    }
    assert not {each: rows for each, rows in visited.items() if rows > VISITED_MAX}


async def rows_visited(core: Core, name: str, arguments: tuple[Any, ...]) -> int:
    values = f"({', '.join(map(literal, arguments))})" if arguments else ""
    async with core.database.transaction() as connection:
        await connection.execute(f"PREPARE asked AS {queries.load(name)}")
        try:
            for _ in range(USES - 1):
                await connection.execute(f"EXECUTE asked {values}")
            found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE asked {values}")
        finally:
            await connection.execute("DEALLOCATE asked")
    return visited_by(json.loads(found)[0]["Plan"])


def visited_by(plan: dict[str, Any]) -> int:
    """Rows that the scans of a plan return or throw away."""
    own = 0
    if "Scan" in plan["Node Type"] and "Plans" not in plan:
        own = int(plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)))
    return own + sum(visited_by(part) for part in plan.get("Plans", []))


def literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(literal, value))}]"
    return f"'{value}'"
