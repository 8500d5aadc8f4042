"""Rows of growth: what a board of many players costs beside a small one, in the same process and the same run.

- `growth_rank`, `growth_nearby`, `growth_top`: `LeaderboardReader` on the large board beside the small one; a ratio of
  1 means that size costs nothing.
- `growth_memory`: what Valkey needs for a ranked player, by its own count of the keys of the large board.
- `growth_rebuild`: making the large board's rank index anew from PostgreSQL.

The boards' entries are written straight into the table; the index comes from a rebuild.
"""

import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from bench.core import own_core
from bench.measures import Row
from bench.suite import Suite
from grandstand.bootstrap.core import Core
from grandstand.domain.rankings import RankingName
from grandstand.operations.catalog import indexed
from grandstand.operations.find_ranking import RankingFinder
from grandstand.operations.player_names import PlayerNames
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.storage.changes import ChangeFeed
from grandstand.storage.entry_reads import EntryReads
from grandstand.storage.index_reads import Indexed

TARGET = 1 / 1.5
"""A read of the large board may take half as long again as one of the small board."""

MEMORY_LIMIT_BYTES = 160.0
REBUILD_LIMIT_SECONDS = 10.0
_SMALL_SHARE = 100
_READS = 200
_FILL = """
INSERT INTO entries (ranking_id, user_id, score, achieved_at, event_id, version)
SELECT $1, 'player-' || lpad(n::text, 7, '0'), (n::bigint * 7919) % 1000003, $3, gen_random_uuid(),
    nextval('entry_versions')
FROM generate_series(1, $2::bigint) AS n
"""


async def measure(suite: Suite) -> list[Row]:
    """Fill both boards, rebuild their indexes, and read them in turn."""
    large = suite.plan.board_players
    small = max(10, large // _SMALL_SHARE)
    suite.say(f"growth: filling a board of {large:,} players")
    async with own_core(suite, "growth", statement_timeout_seconds=300) as core:
        rebuilder = RankingRebuilder(core.database, core.rankings, core.entries, core.index)
        await rebuilder.rebuild(await _fill(core, "small", small))
        ranking = await _fill(core, "large", large)
        suite.say("growth: rebuilding its rank index")
        began_at = time.perf_counter()
        await rebuilder.rebuild(ranking)
        rebuild_seconds = time.perf_counter() - began_at
        size = f"{large:,} players"
        rows = await _reads(suite, _reader(core), small, large)
        memory = await _memory_bytes(core, ranking.ranking_id) / large
    return [
        *rows,
        Row("growth_memory", f"Valkey's memory for a player of {size}", "B", [memory], limit=MEMORY_LIMIT_BYTES),
        Row("growth_rebuild", f"rebuild of {size}", "s", [rebuild_seconds], limit=REBUILD_LIMIT_SECONDS),
    ]


async def _fill(core: Core, key: str, players: int) -> Indexed:
    await core.definer().put(key, b'{"event_type":"bench","operator":"best","field":"score"}')
    async with core.database.transaction() as connection:
        await core.catalog.refresh(connection)
        board = core.catalog.get(key)
        assert board is not None
        period = board.schedule.at(datetime.now(UTC))
        name = RankingName(board.leaderboard_id, board.epoch, period.start)
        (ranking_id,) = await core.rankings.insert_missing(connection, [(name, period.end)])
        await connection.execute(_FILL, ranking_id, players, datetime.now(UTC), timeout=300)
        await connection.execute("ANALYZE entries")
    return indexed(board, ranking_id)


def _feed(core: Core) -> ChangeFeed:
    return ChangeFeed(core.valkey, core.settings.valkey_prefix, core.follower.wake)


def _reader(core: Core) -> LeaderboardReader:
    feed = _feed(core)
    finder = RankingFinder(core.catalog, core.database, core.leaderboards, core.rankings, core.buckets, feed)
    names = PlayerNames(core.database, core.players, feed)
    return LeaderboardReader(
        finder, core.database, core.rankings, core.index, EntryReads(), core.archive, names, core.trust
    )


async def _reads(suite: Suite, reader: LeaderboardReader, small: int, large: int) -> list[Row]:
    chance = random.Random(suite.next_seed())

    def player(size: int) -> str:
        return f"player-{chance.randint(1, size):07d}"

    reads: dict[str, tuple[str, Callable[[str, int], Awaitable[object]]]] = {
        "growth_rank": ("rank of one player", lambda key, size: reader.user(key, player(size))),
        "growth_nearby": ("nearby", lambda key, size: reader.nearby(key, player(size))),
        "growth_top": ("top 100", lambda key, _size: reader.page(key, limit=100)),
    }
    rows = [
        Row(name, f"{title}, {large:,} players", "reads/s", [], [], f"the same, {small:,} players", TARGET)
        for name, (title, _) in reads.items()
    ]
    for number in range(max(3, suite.plan.rounds)):
        suite.say(f"growth: reads, round {number + 1}")
        for row in rows:
            read = reads[row.key][1]
            row.product.append(await _rate(read, "large", large))
            row.ceiling.append(await _rate(read, "small", small))
    return rows


async def _rate(read: Callable[[str, int], Awaitable[object]], key: str, size: int) -> float:
    began_at = time.perf_counter()
    for _ in range(_READS):
        await read(key, size)
    return _READS / (time.perf_counter() - began_at)


async def _memory_bytes(core: Core, ranking_id: int) -> int:
    total = 0
    async for key in core.valkey.scan_iter(f"{core.settings.valkey_prefix}:{{r{ranking_id}}}:*", count=1000):
        total += int(await core.valkey.memory_usage(key, samples=1000) or 0)
    return total
