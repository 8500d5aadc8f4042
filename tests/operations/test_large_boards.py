"""A large board: a reset is a moment, archiving goes on behind it, and the hot table is empty afterwards.

`LARGE_BOARD_PLAYERS=1000000` measures a board of a million.
"""

import asyncio
import os
import time
from datetime import timedelta
from typing import Any

import pytest

from grandstand import clock
from grandstand.operations.find_ranking import Part
from tests.support.core import NOON, Core, event, standing

pytestmark = pytest.mark.anyio

PLAYERS = int(os.environ.get("LARGE_BOARD_PLAYERS", "200000"))
WAIT_SECONDS_MAX = 2.0


async def fill(core: Core, key: str) -> None:
    """Store so many entries at once and build their index; scores are all different."""
    ranking_id = await core.open_ranking(key)
    await core.database.pool.execute(
        """
        INSERT INTO entries (ranking_id, user_id, score, achieved_at, event_id, version)
        SELECT $1, 'player-' || n, n::bigint * 7919 % $2, $3, gen_random_uuid(), nextval('entry_versions')
        FROM generate_series(1, $2::bigint) AS n
        """,
        ranking_id,
        PLAYERS,
        NOON,
        timeout=300,
    )
    await core.rebuild(key)


class Slowest:
    """The longest that anything took."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.count = 0

    async def of(self, action: Any) -> Any:
        started = time.perf_counter()
        outcome = await action
        self.seconds = max(self.seconds, time.perf_counter() - started)
        self.count += 1
        return outcome


@pytest.mark.timeout(900)
async def test_a_reset_of_a_large_board(core: Core, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    await core.define("large", event_type="unused")
    await core.define("small", operator="sum")
    await core.apply(event("ann", 1))
    filled = time.perf_counter()
    await fill(core, "large")
    filled = time.perf_counter() - filled
    top = standing(await core.reader.page("large", limit=10))
    deep = standing(await core.reader.page("large", limit=10, from_rank=PLAYERS // 2))
    end = await core.reader.user("large", "player-1")

    resetting = Slowest()
    await resetting.of(core.definer.reset("large"))
    await core.refresh()
    later = clock.now() + timedelta(minutes=5)
    monkeypatch.setattr(clock, "now", lambda: later)
    reading, writing = Slowest(), Slowest()
    is_done = asyncio.Event()
    old = Part(period="all_time")

    async def read() -> None:
        while not is_done.is_set():
            assert (await reading.of(core.reader.page("large"))).total == 0
            assert standing(await reading.of(core.reader.page("large", limit=10, part=old))) == top
            assert standing(
                await reading.of(core.reader.page("large", limit=10, from_rank=PLAYERS // 2, part=old))
            ) == deep  # fmt: skip
            own = await reading.of(core.reader.user("large", "player-1", part=old))
            assert (own.rank, own.score, own.total) == (end.rank, end.score, PLAYERS)
            assert (await reading.of(core.reader.page("small"))).total == 1
            await asyncio.sleep(0)

    async def write() -> None:
        while not is_done.is_set():
            await writing.of(core.apply(event("ann", 1, at=clock.now()), received_at=clock.now()))
            await asyncio.sleep(0.01)

    others = [asyncio.ensure_future(read()), asyncio.ensure_future(write())]
    archived = time.perf_counter()
    try:
        assert await core.new_closer().close() == 1
        archived = time.perf_counter() - archived
        swept = time.perf_counter()
        await core.sweeper.sweep()
        swept = time.perf_counter() - swept
    finally:
        is_done.set()
        await asyncio.gather(*others)
    with capsys.disabled():
        print(
            f"\na board of {PLAYERS:,}: reset {resetting.seconds:.3f} s, archived in {archived:.1f} s and swept in "
            f"{swept:.1f} s; meanwhile the slowest of {reading.count} reads took {reading.seconds:.3f} s and of "
            f"{writing.count} batches {writing.seconds:.3f} s (filled and indexed in {filled:.1f} s)"
        )
    assert resetting.seconds < WAIT_SECONDS_MAX
    assert reading.seconds < WAIT_SECONDS_MAX
    assert writing.seconds < WAIT_SECONDS_MAX
    left = await core.database.pool.fetch("SELECT DISTINCT user_id FROM entries")
    assert [row["user_id"] for row in left] == ["ann"]
    assert (await core.reader.periods("large")).periods[0].total == PLAYERS
    assert standing(await core.reader.page("large", limit=10, from_rank=PLAYERS // 2, part=old)) == deep
    assert standing(await core.reader.nearby("large", "player-1", part=old, above=1, below=1))[1].rank == end.rank
