"""Each check finds what is damaged in its field, and no other check takes it for its own."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from grandstand.domain.partitions import month_at
from grandstand.storage.entries import Entry
from grandstand.storage.event_stream import HIGH
from tests.invariants.busy import Busy
from tests.support.core import block, event
from tests.support.invariants import broken, reports

pytestmark = pytest.mark.anyio

Damage = Callable[[Busy], Awaitable[None]]
LONE_ENTRY = """
    user_id = 'lone' AND ranking_id IN (
        SELECT r.ranking_id FROM rankings AS r JOIN leaderboards AS l USING (leaderboard_id)
        WHERE l.key = 'global' AND r.epoch = l.epoch AND r.part = ''
    )
"""
ENTRY = LONE_ENTRY.replace("'lone'", "'p05'")


def sql(*statements: str, reindex: bool = False) -> Damage:
    """Damage PostgreSQL; with `reindex` the rank indexes follow, so that only the entries are wrong."""

    async def damage(busy: Busy) -> None:
        month = month_at(busy.cups.time.now)
        names = {"{month}": month.name, "{next_month}": month_at(month.ends_at).name}
        for statement in statements:
            for name, partition in names.items():
                statement = statement.replace(name, partition)
            await busy.execute(statement)
        if reindex:
            await busy.reindex()

    return damage


def of(key: str, user_id: str = "p05", part: str = "") -> str:
    """Condition for an entry of a running ranking."""
    return (
        ENTRY.replace("'global'", f"'{key}'").replace("'p05'", f"'{user_id}'").replace("part = ''", f"part = '{part}'")
    )


async def zadd_stale(busy: Busy) -> None:
    ranks, *_ = await busy.core.keys("global")
    ((member, score),) = await busy.core.valkey.zrange(ranks, 0, 0, withscores=True)
    await busy.core.valkey.zadd(ranks, {member: score + 3})


async def zadd_second(busy: Busy) -> None:
    ranks, *_ = await busy.core.keys("global")
    await busy.core.valkey.zadd(ranks, {b"\x80" + bytes(7) + b"p05": -1})


async def forget_member(busy: Busy) -> None:
    ranks, holders, *_ = await busy.core.keys("global")
    held = await busy.core.valkey.hget(holders, "p05")
    await busy.core.valkey.zrem(ranks, held[6:] + b"p05")
    await busy.core.valkey.hdel(holders, "p05")


async def add_stranger(busy: Busy) -> None:
    ranking_id = await busy.core.ranking_id("global")
    await busy.core.index.publish([Entry(ranking_id, "ghost", 9, b"", busy.cups.time.now, None, 5)], {ranking_id: -1})


async def publish_wrong_metadata(busy: Busy) -> None:
    *_, metadata = await busy.core.keys("latest")
    await busy.core.valkey.hset(metadata, "p05", '{"level":0}')


async def stale_version(busy: Busy) -> None:
    await busy.execute(f"UPDATE entries SET version = nextval('entry_versions') WHERE {ENTRY}")


async def count_too_many(busy: Busy) -> None:
    await busy.core.valkey.incrby(busy.core.stream.keys[2], 3)


async def lose_a_block(busy: Busy) -> None:
    await busy.cups.append(event("p05", 1, at=busy.cups.time.now))
    high = busy.core.stream.keys[0]
    ((block_id, _),) = await busy.core.valkey.xrange(high, count=1)
    await busy.core.valkey.xdel(high, block_id)


async def deliver_to_the_dead(busy: Busy) -> None:
    await busy.cups.append(event("p05", 1, at=busy.cups.time.now))
    assert await busy.core.stream.read("dead", HIGH, 1)


async def acknowledge_and_leave(busy: Busy) -> None:
    await busy.cups.append(event("p05", 1, at=busy.cups.time.now))
    (held,) = await busy.core.stream.read("worker", HIGH, 1)
    await busy.core.valkey.xack(busy.core.stream.keys[0], "workers", held.block_id)


async def lose_the_group(busy: Busy) -> None:
    await busy.cups.append(event("p05", 1, at=busy.cups.time.now))
    await busy.core.valkey.xgroup_destroy(busy.core.stream.keys[0], "workers")


async def store_and_leave(busy: Busy) -> None:
    await busy.cups.append(event("nobody", event_type="login", at=busy.cups.time.now))
    blocks = await busy.core.stream.read("worker", HIGH, 1)
    await busy.cups.applier.apply(blocks)


async def apply_twice(busy: Busy) -> None:
    """A worker that knows nothing of ids: the dedupe is gone."""
    known = busy.core.event_log.find_known
    again = event("lone", 1, at=busy.cups.time.now)
    await busy.core.new_applier().apply([block([again], received_at=busy.cups.time.now)])

    async def nothing(*arguments: Any) -> set[str]:
        return set()

    busy.core.event_log.find_known = nothing  # type: ignore[method-assign]
    name = f"events_{busy.cups.time.now:%Y_%m}"
    try:
        await busy.core.database.pool.execute(f"DROP INDEX {name}_id")
        await busy.core.new_applier().apply([block([again], received_at=busy.cups.time.now)])
    finally:
        busy.core.event_log.find_known = known  # type: ignore[method-assign]


async def double_a_prize(busy: Busy) -> None:
    """As if there were no unique key, and told like the first one."""
    await busy.execute(
        """
        WITH copy AS (
            INSERT INTO prizes (prize_id, tournament_id, occurrence, user_id, rule, rank, kind, amount, metadata,
                awarded_at, expires_at)
            SELECT 'ffffffff-ffff-7fff-8fff-ffffffffffff', tournament_id, occurrence, user_id, 9, rank, kind, amount,
                metadata, awarded_at, expires_at
            FROM prizes WHERE rank = 1 AND tournament_id = 'early'
            RETURNING prize_id
        ), step AS (
            INSERT INTO webhook_events (event_id, type, payload)
            SELECT prize_id, 'prize.awarded', jsonb_build_object('prize_id', prize_id) FROM copy
        )
        SELECT prize_id FROM copy
        """
    )
    await busy.execute(
        "INSERT INTO prize_steps (prize_id, status, actor) "
        "VALUES ('ffffffff-ffff-7fff-8fff-ffffffffffff', 'pending', 'settlement')"
    )


IN_BUCKET = of("buckets").replace("part = ''", "part LIKE 'b:%'")
ARCHIVED = "ranking_id = (SELECT min(ranking_id) FROM archived_entries WHERE user_id = 'p05')"
FIRST_PRIZE = "prize_id = (SELECT min(prize_id::text)::uuid FROM prizes WHERE status = 'pending')"

DAMAGES: dict[str, tuple[set[str], Damage]] = {
    "an event is lost": (
        {"entries_match_events", "rollups_match_events"}, sql("DELETE FROM events WHERE user_id = 'lone'")
    ),
    "an event is in two partitions": (
        {"events_unique", "rollups_match_events"},
        sql(
            "INSERT INTO events (id, received_at, occurred_at, event_type, user_id, payload) SELECT id, "
            "received_at + interval '1 month', occurred_at, event_type, user_id, payload FROM events "
            "WHERE event_type = 'login' LIMIT 1"
        ),
    ),
    "an event counts twice": ({"events_unique"}, apply_twice),
    "a partition lost its index": ({"events_unique"}, sql("DROP INDEX {month}_id")),
    "a score is altered": (
        {"entries_match_events"}, sql(f"UPDATE entries SET score = score + 1 WHERE {ENTRY}", reindex=True)
    ),
    "a total is altered": (
        {"entries_match_events"}, sql(f"UPDATE entries SET total = total - 1 WHERE {of('sum')}", reindex=True)
    ),
    "a time is altered": (
        {"entries_match_events"},
        sql(f"UPDATE entries SET achieved_at = achieved_at - interval '1 s' WHERE {of('latest')}", reindex=True),
    ),
    "metadata are altered": (
        {"entries_match_events"}, sql(f"UPDATE entries SET metadata = '[]' WHERE {of('latest')}", reindex=True)
    ),
    "the entry of a tournament is altered": (
        {"entries_match_events"},
        sql(f"UPDATE entries SET score = score + 1, total = total + 1 WHERE {of('tournament:late')}", reindex=True),
    ),
    "the entry of a bucket is altered": (
        {"entries_match_events"},
        sql(
            f"UPDATE entries SET score = score + 1 WHERE {IN_BUCKET}",
            reindex=True,
        ),
    ),
    "the entry of a segment is lost": (
        {"entries_match_events"}, sql(f"DELETE FROM entries WHERE {of('hourly', 'p05', 's:FR')}", reindex=True)
    ),
    "an entry is lost": ({"entries_match_events"}, sql(f"DELETE FROM entries WHERE {ENTRY}", reindex=True)),
    "an entry comes from nothing": (
        {"entries_match_events"},
        sql(
            f"INSERT INTO entries (ranking_id, user_id, score, achieved_at, event_id, version) "
            f"SELECT ranking_id, 'ghost', score, achieved_at, event_id, 1 FROM entries WHERE {LONE_ENTRY}",
            reindex=True,
        ),
    ),
    "a ranking is lost": (
        {"entries_match_events"},
        sql(
            "DELETE FROM entries WHERE ranking_id IN (SELECT r.ranking_id FROM rankings AS r "
            "JOIN leaderboards AS l USING (leaderboard_id) WHERE l.key = 'count' AND r.epoch = l.epoch)",
            "DELETE FROM rankings AS r USING leaderboards AS l "
            "WHERE r.leaderboard_id = l.leaderboard_id AND l.key = 'count' AND r.epoch = l.epoch",
        ),
    ),
    "a removal did not remove": (
        {"entries_match_events"},
        sql("INSERT INTO removals SELECT leaderboard_id, 'lone', '2027-01-01' FROM leaderboards WHERE key = 'global'"),
    ),
    "a banned player is ranked": (
        {"entries_match_events"}, sql("INSERT INTO players (user_id, banned_at) VALUES ('lone', '2026-01-01')")
    ),
    "a stale value in the index": ({"rank_index_matches_entries"}, zadd_stale),
    "a second place in the index": ({"rank_index_matches_entries"}, zadd_second),
    "a place lost from the index": ({"rank_index_matches_entries"}, forget_member),
    "a stranger in the index": ({"rank_index_matches_entries"}, add_stranger),
    "other metadata in the index": ({"rank_index_matches_entries"}, publish_wrong_metadata),
    "a change that never reached the index": ({"rank_index_matches_entries"}, stale_version),
    "a rank of an archive is lost": (
        {"archives_match"}, sql(f"DELETE FROM archived_entries WHERE {ARCHIVED} AND rank = 2")
    ),
    "a gap in the ranks of an archive": (
        {"archives_match"}, sql(f"UPDATE archived_entries SET rank = rank + 1000 WHERE {ARCHIVED} AND rank > 2")
    ),
    "the order of an archive is altered": (
        {"archives_match"}, sql(f"UPDATE archived_entries SET score = score + 100 WHERE {ARCHIVED} AND rank = 3")
    ),
    "the size of an archive is altered": (
        {"archives_match"}, sql(f"UPDATE rankings SET total = total + 1 WHERE {ARCHIVED} AND state = 'archived'")
    ),
    "attempts are added": (
        {"attempts_match"}, sql("UPDATE participants SET attempts = attempts + 9 WHERE user_id = 'p05'")
    ),
    "an attempt is taken away": (
        {"attempts_match"},
        sql("UPDATE participants SET attempts = attempts - 1 WHERE user_id = 'p05' AND tournament_id = 'late'"),
    ),
    "players are miscounted": (
        {"attempts_match"}, sql("UPDATE occurrences SET players = players + 1 WHERE tournament_id = 'early'")
    ),
    "a score of standings is altered": (
        {"standings_frozen"}, sql("UPDATE standings SET score = score - 1 WHERE rank = 7 AND tournament_id = 'early'")
    ),
    "a standing is lost": (
        {"standings_frozen"}, sql("DELETE FROM standings WHERE rank = 7 AND tournament_id = 'early'")
    ),
    "standings before the settlement": (
        {"standings_frozen"},
        sql("INSERT INTO standings VALUES ('late', 1, 1, 'p05', 1, '2026-11-02')"),
    ),
    "a prize is lost": (
        {"prizes_match_standings"},
        sql(f"DELETE FROM prize_steps WHERE {FIRST_PRIZE}", f"DELETE FROM prizes WHERE {FIRST_PRIZE}"),
    ),
    "a prize is doubled": ({"prizes_match_standings"}, double_a_prize),
    "an amount is altered": (
        {"prizes_match_standings"}, sql(f"UPDATE prizes SET amount = amount + 1 WHERE {FIRST_PRIZE}")
    ),
    "a prize is claimed without a step": (
        {"prizes_match_standings"},
        sql(f"UPDATE prizes SET status = 'claimed', claimed_at = awarded_at WHERE {FIRST_PRIZE}"),
    ),
    "a prize is claimed without a time": (
        {"prizes_match_standings"}, sql("UPDATE prizes SET claimed_at = NULL WHERE status = 'claimed'")
    ),
    "a step is lost": (
        {"prizes_match_standings"}, sql("DELETE FROM prize_steps WHERE status = 'claimed'")
    ),
    "a settlement is not told": (
        {"outbox_complete"}, sql("DELETE FROM webhook_events WHERE type = 'tournament.settled'")
    ),
    "an event that an entry is made of is quarantined": (
        {"entries_match_events"},
        sql("INSERT INTO quarantine (quarantine_id, event_id, leaderboard_id, user_id, event_type, score, occurred_at, "
            "received_at, reason, quarantined_at) SELECT e.id, e.id, l.leaderboard_id, e.user_id, e.event_type, 7, "
            "e.occurred_at, e.received_at, 'score_too_high', e.received_at FROM events AS e, leaderboards AS l "
            "WHERE e.user_id = 'lone' AND l.key = 'global'"),
    ),
    "an award is not told": (
        {"outbox_complete"},
        sql("DELETE FROM webhook_events WHERE event_id = (SELECT min(event_id::text)::uuid FROM webhook_events "
            "WHERE type = 'prize.awarded')"),
    ),
    "events of an hour are miscounted": (
        {"rollups_match_events"},
        sql(
            "UPDATE rollups SET events = events + 1",
            "UPDATE rollup_months SET events = events + (SELECT count(*) FROM rollups WHERE grain = 'hour')",
        ),
    ),
    "users of a day are miscounted": (
        {"rollups_match_events"}, sql("UPDATE rollups SET users = users + 1 WHERE grain = 'day' AND event_type = ''")
    ),
    "a user was not seen in an hour": (
        {"rollups_match_events"}, sql("DELETE FROM rollup_users WHERE user_id = 'lone' AND event_type <> ''")
    ),
    "a kept day is off": (
        {"rollups_match_events"}, sql("UPDATE rollup_days SET users = users + 1 WHERE kind = 'stay'")
    ),
    "a first event is lost": ({"rollups_match_events"}, sql("DELETE FROM first_events WHERE user_id = 'p05'")),
    "the next month has no partition": ({"partitions_cover"}, sql("DROP TABLE {next_month}")),
    "the count of the stream is off": ({"events_processed"}, count_too_many),
    "a block is lost from the stream": ({"events_processed"}, lose_a_block),
    "a delivery of a dead worker": ({"deliveries_owned"}, deliver_to_the_dead),
    "a block that belongs to nobody": ({"deliveries_owned"}, acknowledge_and_leave),
    "a stream that nobody reads": ({"deliveries_owned"}, lose_the_group),
    "a stored block stays in the stream": ({"events_processed", "deliveries_owned"}, store_and_leave),
}  # fmt: skip


async def test_nothing_is_found_where_nothing_is_damaged(busy: Busy) -> None:
    assert await broken(busy.core) == {}
    looked = await reports(busy.core)
    idle = {name for name, report in looked.items() if not report.looked_at}
    # Nothing is archived here; tests/archive damages what is.
    assert idle <= {"events_processed", "deliveries_owned", "archived_events_whole"}
    undecided, decided = looked["entries_match_events"].undecided, looked["entries_match_events"].looked_at
    assert undecided < decided / 4, "what cannot be decided is the exception"


@pytest.mark.parametrize("name", DAMAGES)
async def test_damage_is_found_by_its_check_alone(busy: Busy, name: str) -> None:
    checks, damage = DAMAGES[name]
    await damage(busy)
    found = await broken(busy.core)
    assert set(found) == checks, found


@pytest.mark.parametrize(("setting", "value"), [("appendfsync", "everysec"), ("synchronous_commit", "off")])
async def test_engines_that_do_not_write_to_disk(busy: Busy, setting: str, value: str) -> None:
    pool, valkey = busy.core.database.pool, busy.core.valkey
    database = await pool.fetchval("SELECT current_database()")
    try:
        if setting == "appendfsync":
            await valkey.config_set(setting, value)
        else:
            await pool.execute(f"ALTER DATABASE {database} SET {setting} = {value}")
            await pool.expire_connections()
        assert set(await broken(busy.core)) == {"durability"}
    finally:
        await valkey.config_set("appendfsync", "always")
        await pool.execute(f"ALTER DATABASE {database} RESET synchronous_commit")
        await pool.expire_connections()
    assert await broken(busy.core) == {}
