"""A year goes by: what leaves PostgreSQL is in the archive, and both together are what was accepted."""

import json
import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from grandstand.operations.count_events import EventCounter
from grandstand.storage.archive_tokens import MARKER
from tests.archive.year import YEAR_END, Archive, live_through, partition, read_files_slowly
from tests.support.core import Core, event

pytestmark = pytest.mark.anyio

YEAR = int(os.environ.get("YEAR_EVENTS", "12000"))
"""Events of the year; `make years` takes more."""

VERIFIED_MAX = 100_000
"""A larger year is counted and replayed, and not recounted player by player."""


async def test_a_year_is_archived_and_a_board_replayed_from_both(core: Core, archive: Archive) -> None:
    await core.define("kills", event_type="enemy_down", operator="sum")
    accepted = await live_through(core, YEAR)
    before = await core.walk("global"), await core.walk("kills")
    began = time.perf_counter()
    left = await archive.run()
    print(f"{len(await archive.archived()):,} events archived in {time.perf_counter() - began:.1f} s")
    assert left == 9, "the months whose end is 90 days ago"
    assert await archive.states() == {partition(month): ["dropped"] for month in range(1, 10)}
    assert set(await archive.live()).isdisjoint(await archive.archived())
    await archive.check(accepted)
    assert await archive.run() == 0
    for key, expected in zip(("global", "kills"), before, strict=True):
        replay = await core.new_replayer(archive.url).replay(key, None, dry_run=False)
        await core.refresh()
        assert replay.moved == 0
        assert await core.walk(key) == expected
    if len(accepted) <= VERIFIED_MAX:
        await archive.verify()
    assert {file.suffix for file in archive.files()} == {".parquet", ".json"}


async def test_nothing_leaves_before_it_is_counted(core: Core, archive: Archive) -> None:
    """A user's first event is read from the partition when it is counted."""
    accepted = await live_through(core, 60, months=[1, 11])
    counter = EventCounter(core.database, core.event_log)
    assert await archive.run() == 1
    await archive.verify()
    await counter.count()
    first = await core.database.pool.fetch("SELECT user_id, event_id FROM first_events")
    expected = {each.user_id: each.id for each in sorted(accepted, key=lambda each: (each.occurred_at, each.id))[::-1]}
    assert dict(map(tuple, first)) == expected
    await archive.verify()


async def test_the_manifest_is_the_same_beside_the_files(core: Core, archive: Archive) -> None:
    accepted = await live_through(core, 300, months=[3])
    await archive.run()
    (path,) = [file for file in archive.files() if file.parent.name == "manifests"]
    written = json.loads(path.read_bytes())
    row = await core.database.pool.fetchrow("SELECT * FROM event_archives")
    assert written["events"] == row["events"] == len(accepted)
    assert written["checksum"] == str(row["checksum"]) == str(sum(int(each["checksum"]) for each in written["files"]))
    counts = Counter(each.event_type for each in accepted)
    for event_type, count in counts.items():
        files = [each for each in written["files"] if each["event_type"] == event_type]
        assert sum(each["events"] for each in files) == count
        assert len({each["day"] for each in files}) == len(files) <= 2
    assert row["first_received_at"].month == row["last_received_at"].month == 3


async def test_an_event_counts_once_though_it_comes_again_after_its_archive(core: Core, archive: Archive) -> None:
    await core.define("sum", operator="sum")
    accepted = await live_through(core, 600, months=[1, 2])
    await archive.run()
    before = await core.walk("sum")
    again = accepted[::7]
    for received_at in (YEAR_END, datetime(2026, 1, 20, tzinfo=UTC)):
        applied = await core.apply(*again, event("new", 5, event_id=uuid4()), received_at=received_at)
        assert applied.duplicates == len(again)
    assert [row for row in await core.walk("sum") if row.user_id != "new"] == [
        row._replace(rank=row.rank) for row in before
    ]
    assert len(await archive.live()) == 2


async def test_what_comes_late_for_an_archived_month_is_archived_by_the_next_round(
    core: Core, archive: Archive
) -> None:
    accepted = await live_through(core, 100, months=[1])
    await archive.run()
    late = [event("late", number, event_id=uuid4()) for number in range(3)]
    await core.apply(*late, received_at=datetime(2026, 1, 31, 23, tzinfo=UTC))
    await archive.check([*accepted, *late])
    unguarded = "SELECT count(*) FROM pg_indexes WHERE tablename = $1 AND indexdef LIKE 'CREATE UNIQUE%(id)'"
    assert await core.database.pool.fetchval(unguarded, partition(1)) == 1
    assert await archive.run() == 1
    assert await archive.states() == {partition(1): ["dropped", "dropped"]}
    await archive.check([*accepted, *late])


async def test_what_changes_while_it_is_archived_is_archived_as_changed(core: Core, archive: Archive) -> None:
    accepted = await live_through(core, 100, months=[1])
    late = event("late", 1, event_id=uuid4())

    async def arrive(step: str) -> None:
        if step == "verified" and late not in accepted:
            accepted.append(late)
            await core.apply(late, received_at=datetime(2026, 1, 31, 23, tzinfo=UTC))

    assert await archive.run(on_step=arrive) == 0
    assert await archive.states() == {partition(1): ["abandoned"]}
    assert [path.name for path in archive.files()] == [MARKER]
    await archive.check(accepted)
    assert await archive.run(on_step=arrive) == 1
    await archive.check(accepted)


async def test_a_file_that_differs_keeps_the_partition(core: Core, archive: Archive) -> None:
    from grandstand.operations.archive_events import ArchiveDiffersError

    accepted = await live_through(core, 100, months=[1])

    async def damage(step: str) -> None:
        if step == "files kept":
            path = next(file for file in archive.files() if file.suffix == ".parquet")
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 0xFF
            path.unlink()
            path.write_bytes(content)

    with pytest.raises(ArchiveDiffersError):
        await archive.run(on_step=damage)
    assert len(await archive.live()) == len(accepted)
    assert await archive.run() == 1
    await archive.check(accepted)


async def test_nothing_leaves_that_a_tournament_may_need(core: Core, archive: Archive) -> None:
    await live_through(core, 100, months=[1, 2])
    await core.database.pool.execute(
        "INSERT INTO tournaments (tournament_id, leaderboard_id, definition) "
        "SELECT 'season', min(leaderboard_id), '{}' FROM leaderboards"
    )
    await core.database.pool.execute(
        "INSERT INTO occurrences (tournament_id, occurrence, starts_at, ends_at, status) "
        "VALUES ('season', 1, '2026-02-10+00', '2027-02-10+00', 'active')"
    )
    assert await archive.run() == 1
    assert list(await archive.states()) == [partition(1)]


async def test_a_reader_of_a_snapshot_has_every_event_once(core: Core, archive: Archive) -> None:
    """However long it reads, and whatever leaves meanwhile."""
    accepted = await live_through(core, 200, months=[1])
    async with core.database.snapshot() as connection:
        await core.event_log.hold(connection)
        assert await archive.run(attempts=3) == 0, "a partition that is read stays"
        assert await archive.states() == {partition(1): ["verified"]}
        assert await connection.fetchval("SELECT count(*) FROM events") == len(accepted)
        assert [chunk async for chunk in archive.reader.of_types(connection, ["game_ended"], 0)] == []
    assert await archive.run(YEAR_END + timedelta(minutes=1)) == 1
    await archive.check(accepted)


async def test_archives_are_read_for_longer_than_a_transaction_may_stand_still(
    core: Core, core_database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = await live_through(core, 60, months=[1])
    await archive.run()
    read_files_slowly(monkeypatch, core_database_url)
    async with core.database.snapshot() as connection:
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '5s'")
        found = [row async for chunk in archive.reader.of_users(connection, [each.user_id for each in accepted])
                 for row in chunk]  # fmt: skip
        assert await connection.fetchval("SELECT count(*) FROM events") == 0
    assert len(found) == len(accepted)
