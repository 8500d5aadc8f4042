"""Ten thousand boards cost events that touch three of them next to nothing; one event may feed fifty."""

import asyncio
import random
import statistics
import time
from typing import Any

import msgspec
import pytest

from grandstand.domain.leaderboards import LeaderboardDefinition
from tests.support.core import Core, block, event, open_core, split, standing
from tests.support.engines import RunningEngines
from tests.support.model import standings

pytestmark = pytest.mark.anyio

BOARDS = 10_000
BATCH = 2_000
ROUNDS = 11
SLOWER_MAX = 1.1
NOISE = 0.15
"""What two runs of the same work may differ by on a busy machine; the figure itself is printed."""

TOUCHED: dict[str, dict[str, Any]] = {
    "best": {"where": {"mode": "m5", "ranked": True}},
    "sum": {"operator": "sum", "where": {"mode": "m5"}},
    "latest": {"operator": "latest", "order": "asc"},
}


async def insert_boards(core: Core, count: int) -> None:
    """Boards that the events do not touch: half of them of their event type, each with a condition of its own."""
    rows = []
    for number in range(count):
        definition = LeaderboardDefinition(
            event_type="game_ended" if number % 2 else f"type_{number}",
            operator="best",
            field="score",
            where={("mode", "map", "stats.level")[number % 3]: f"no-{number}"},
        )
        rows.append((f"board-{number}", msgspec.json.encode(definition).decode(), number + 1000))
    await core.database.pool.copy_records_to_table(
        "leaderboards", records=rows, columns=("key", "definition", "revision")
    )
    await core.database.pool.execute("UPDATE ledger SET leaderboards_revision = $1", 1000 + count)


def some_events(randomly: random.Random) -> list[Any]:
    return [
        event(
            f"p{randomly.randrange(5000)}",
            payload={"score": randomly.randrange(1000), "mode": "m5", "ranked": True, "stats": {"level": 3}},
        )
        for _ in range(BATCH)
    ]


async def test_ten_thousand_boards_do_not_slow_ingest(
    core: Core, engines: RunningEngines, template_database: str, valkey_url: str, valkey_prefix: str, capsys: Any
) -> None:
    name = engines.create_database(template_database)
    try:
        async with open_core(engines.database_url(name), valkey_url, f"{valkey_prefix}-few") as few:
            for each in (few, core):
                for key, values in TOUCHED.items():
                    await each.define(key, **values)
            await core.definer.put("global", b'{"event_type":"unused","field":"score","operator":"best"}')
            await insert_boards(core, BOARDS)
            # What every process does once, at its start.
            appliers = {id(each): each.new_applier() for each in (few, core)}
            seconds: dict[int, list[float]] = {id(few): [], id(core): []}
            events: list[Any] = []
            for number in range(ROUNDS + 2):
                batch = some_events(random.Random(number))
                events += batch
                for each in (few, core) if number % 2 else (core, few):
                    started = time.perf_counter()
                    await appliers[id(each)].apply([block(part) for part in split(batch, random.Random(1), 200)])
                    seconds[id(each)].append(time.perf_counter() - started)
            # The first rounds read definitions, make partitions and rankings, and plan statements.
            ratio = statistics.median(
                many / one for one, many in zip(seconds[id(few)][2:], seconds[id(core)][2:], strict=True)
            )
            rate = BATCH / statistics.median(seconds[id(core)][2:])
            with capsys.disabled():
                print(f"\n{BOARDS:,} boards: a batch takes {ratio:.3f} x as long as with 3 ({rate:,.0f} events/s)")
            assert ratio < SLOWER_MAX + NOISE
            await core.refresh()
            assert len(core.catalog.all()) == BOARDS + 4
            for each in (few, core):
                for key in TOUCHED:
                    assert (
                        standing(await each.reader.page(key, limit=1000))
                        == (standings(each.board(key).definition, events)[:1000])
                    )
            assert (await core.reader.page("board-77")).total == 0
            assert await core.database.pool.fetchval("SELECT count(*) FROM rankings") == 3
    finally:
        engines.drop_database(name)


async def test_one_event_type_feeds_fifty_boards(core: Core) -> None:
    randomly = random.Random(50)
    boards: dict[str, dict[str, Any]] = {}
    for number in range(50):
        operator = ["best", "latest", "sum", "count"][number % 4]
        boards[f"b{number}"] = {
            "operator": operator,
            "order": ["desc", "asc"][number // 4 % 2],
            "where": [None, {"mode": "ranked"}, {"level": number % 3}, {"mode": "casual", "pro": True}][
                number // 8 % 4
            ],
            "min_score": [None, 3][number % 3 % 2],
        }
    for key, values in boards.items():
        await core.define(key, **values)
    events = [
        event(
            f"p{randomly.randrange(15)}",
            payload={
                "score": randomly.randrange(-5, 20),
                "mode": randomly.choice(["ranked", "casual"]),
                "level": randomly.randrange(3),
                "pro": randomly.choice([True, False, 1]),
            },
        )
        for _ in range(250)
    ]
    parts = [[block(part)] for part in split(events, randomly, 60)]
    await asyncio.gather(*(core.new_applier().apply(part) for part in parts))
    for key in boards:
        await core.check(key, events)
