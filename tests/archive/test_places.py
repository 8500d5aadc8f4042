"""Restoring, asking and damaging archives; and the same against a server that speaks S3."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from grandstand.bootstrap.diagnosing import diagnose
from grandstand.domain.errors import UnavailableError
from grandstand.invariants.check import Subject
from grandstand.operations.query_archive import QueryRefusedError, query
from grandstand.operations.restore_archive import ArchiveRestorer, NotRestorableError
from grandstand.settings import load_settings
from grandstand.storage.archive_places import open_place
from grandstand.storage.postgres import Database
from tests.archive.year import YEAR_END, Archive, live_through, partition, read_files_slowly
from tests.support.core import Core, event
from tests.support.invariants import broken, subject_of
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

UPKEEP = """
SELECT c.reloptions, array_agg((a.attname, a.attstattarget)::text ORDER BY a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.oid = $1::regclass GROUP BY c.oid
"""
"""When and of what a table is analyzed, and when it is vacuumed."""


async def test_archived_restored_and_archived_again(core: Core, anywhere: Archive) -> None:
    accepted = await live_through(core, 400, months=[1, 11])
    board = await core.walk("global")
    assert await anywhere.run() == 1
    await anywhere.check(accepted)
    assert await core.new_replayer(anywhere.url).replay("global", None, dry_run=True)
    found = await query(anywhere.reader, "SELECT count(*), count(DISTINCT user_id), min(received_at) FROM events")
    assert found.rows[0][:2] == (200, 20)
    restorer = ArchiveRestorer(
        core.database, core.ledger, anywhere.archives, anywhere.reader, anywhere.archiver()
    )  # fmt: skip
    archive_id = await core.database.pool.fetchval("SELECT archive_id FROM event_archives")
    assert await restorer.restore(archive_id, YEAR_END + timedelta(days=1)) == 200
    assert len(await anywhere.live()) == len(accepted)
    await anywhere.check(accepted)
    assert await core.database.pool.fetchval("SELECT count(*) FROM archived_ids") == 0
    came_back, never_left = [await core.database.pool.fetchrow(UPKEEP, partition(month)) for month in (1, 11)]
    assert came_back == never_left
    with pytest.raises(NotRestorableError):
        await restorer.restore(archive_id, YEAR_END)
    assert await anywhere.run() == 0, "it stays for a while"
    assert await anywhere.run(YEAR_END + timedelta(days=2)) == 1
    assert await anywhere.states() == {partition(1): ["restored", "dropped"]}
    await anywhere.check(accepted)
    await anywhere.verify()
    await core.refresh()
    assert await core.walk("global") == board


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY events TO '/tmp/grandstand-stolen.csv'",
        "SET enable_external_access = true",
        "ATTACH '/tmp/grandstand.db'",
        "INSTALL httpfs",
        "SELECT nothing FROM events",
        "oh no",
    ],
)
async def test_a_query_reads_events_and_nothing_else(archive: Archive, statement: str) -> None:
    assert (await query(archive.reader, "SELECT count(*) FROM events")).rows == [(0,)]
    with pytest.raises(QueryRefusedError):
        await query(archive.reader, statement)


async def test_a_query_names_each_column_and_ends_when_nobody_waits_for_it(archive: Archive) -> None:
    found = await query(archive.reader, "SELECT a.user_id, b.user_id, 1 AS user_id_2 FROM events AS a, events AS b")
    assert found.columns == ["user_id", "user_id_2", "user_id_2_2"]
    async with asyncio.timeout(20):
        endless = asyncio.ensure_future(
            query(archive.reader, "SELECT sum(a.range) FROM range(9999999) a, range(9999999) b")
        )
        await asyncio.wait((endless,), timeout=0.5)
        assert not endless.done()
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless


async def test_a_damaged_file_is_said_to_be_one(core: Core, archive: Archive) -> None:
    accepted = await live_through(core, 60, months=[1])
    await archive.run()
    for path in archive.files():
        path.write_bytes(path.read_bytes()[:-8])
    restorer = ArchiveRestorer(core.database, core.ledger, archive.archives, archive.reader, archive.archiver())
    archive_id = await core.database.pool.fetchval("SELECT archive_id FROM event_archives")

    async def read() -> None:
        async with core.database.snapshot() as connection:
            async for _ in archive.reader.of_users(connection, [each.user_id for each in accepted]):
                pass

    for asked in (restorer.restore(archive_id, YEAR_END), query(archive.reader, "SELECT 1"), read()):
        with pytest.raises(UnavailableError, match="file of archived events cannot be read"):
            await asked
    assert await archive.states() == {partition(1): ["dropped"]}
    left = await core.database.pool.fetchval("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'restoring%'")
    assert left == 0


async def test_a_restore_behind_a_pooler_may_wait_for_its_files(
    core: Core, core_database_url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There every connection is lent in a transaction, which PostgreSQL ends when it hears nothing for long."""
    await live_through(core, 60, months=[1])
    await archive.run()
    read_files_slowly(monkeypatch, core_database_url)
    pooled = Database(core.database.pool, 10, "write", "SET LOCAL idle_in_transaction_session_timeout = '5s'")
    restorer = ArchiveRestorer(pooled, core.ledger, archive.archives, archive.reader, archive.archiver())
    archive_id = await core.database.pool.fetchval("SELECT archive_id FROM event_archives")
    assert await restorer.restore(archive_id, YEAR_END + timedelta(days=1)) == 60


async def test_a_restore_waits_for_batches_and_no_batch_for_it(core: Core, archive: Archive) -> None:
    accepted = await live_through(core, 60, months=[1])
    await archive.run()
    late = event("late", 1, event_id=uuid4())
    await core.apply(late, received_at=datetime(2026, 1, 31, 23, tzinfo=UTC))
    # To put the others beside it takes as long as this test wants.
    await core.database.pool.execute(
        "CREATE FUNCTION rest() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'"
    )
    await core.database.pool.execute(
        f"CREATE TRIGGER rest BEFORE INSERT ON {partition(1)} FOR EACH ROW EXECUTE FUNCTION rest()"
    )
    archiver = archive.archiver(attempts=1000)
    restorer = ArchiveRestorer(core.database, core.ledger, archive.archives, archive.reader, archiver)
    archive_id = await core.database.pool.fetchval("SELECT archive_id FROM event_archives")
    async with core.database.connection() as holding:
        await holding.execute("SELECT pg_advisory_lock(1)")

        async def is_merging() -> bool:
            return bool(
                await holding.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            )

        async with core.database.transaction() as batch:
            restoring = asyncio.ensure_future(restorer.restore(archive_id, YEAR_END + timedelta(days=1)))
            await eventually_async(is_merging)
            await batch.execute("SET LOCAL lock_timeout = '5s'")
            await core.ledger.join(batch)
            assert await is_merging(), "the batch has not waited for it"
            await holding.execute("SELECT pg_advisory_unlock(1)")
            # It goes on for longer than the restore waits for a lock.
            assert not (await asyncio.wait((restoring,), timeout=1.0))[0]
    assert await restoring == 60
    await archive.check([*accepted, late])


async def test_a_bucket_that_breaks_off_is_out_of_reach(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nETag: x\r\nLast-Modified: Mon, 30 Nov 2026 12:00:00 GMT\r\n\r\n"
        )
        writer.write(head + b"half")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(OSError, match="bucket of archives"):
            await asyncio.wait_for(asyncio.to_thread(open_place(bucket).fetch, "any", tmp_path / "copy"), 30)


async def test_the_doctor_looks_at_the_archive(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await live_through(core, 20, months=[1])

    async def ask(url: str) -> str:
        settings = load_settings(database_url=core_database_url, valkey_url=valkey_url, archive_url=url)
        (found,) = [each async for each in diagnose(settings, None) if each.check == "archive"]
        assert bool(found.do) == (found.status != "ok")
        return found.finding if found.do else "ok"

    assert await ask(archive.url) == "ok", "it is made when it is needed"
    await archive.run()
    assert await ask(archive.url) == "ok"
    assert "is missing" in await ask(bucket)
    assert "cannot be used" in await ask(str(archive.files()[0]))
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "Missing SecretAccessKey" in await ask(bucket)
    for path in archive.files():
        path.unlink()
    assert "is missing" in await ask(archive.url)


async def test_verify_finds_what_is_wrong_with_an_archive(core: Core, archive: Archive) -> None:
    await live_through(core, 60, months=[1])
    await archive.run()
    await archive.verify()
    execute = core.database.pool.execute
    await execute(
        "UPDATE archive_files SET events = events + 1 WHERE file_id = (SELECT min(file_id) FROM archive_files)"
    )
    await execute("DELETE FROM archived_ids WHERE id = (SELECT min(id::text)::uuid FROM archived_ids)")
    found = await broken(core)
    assert set(found) == {"archived_events_whole"}
    assert len(found["archived_events_whole"]) == 2
    assert subject_of(core).archived is None
    gone = [path for path in archive.files() if path.suffix == ".parquet"][:2]
    for path in gone:
        path.unlink()
    found = await broken(core, subject=Subject(core.database, core.valkey, core.prefix, archive.reader))
    assert {path.name for path in gone} <= {
        word.rpartition("/")[2] for each in found["archived_events_whole"] for word in each.split()
    }


async def test_the_scheduler_archives_in_a_process_of_its_own(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive
) -> None:
    from grandstand.workers.archive_keeper import ArchiveKeeper

    accepted = await live_through(core, 60, months=[1])
    environment = archive.environment(core_database_url, valkey_url, archive_after_days="1")
    keeper = ArchiveKeeper(core.database, archive.archives, timedelta(days=1), environment, asyncio.Event())
    assert await keeper.keep()
    assert await archive.states() == {partition(1): ["dropped"]}
    await archive.check(accepted)
    assert not await keeper.keep(), "there is nothing left to do"


async def test_the_commands(core: Core, core_database_url: str, valkey_url: str, archive: Archive) -> None:
    await live_through(core, 60, months=[1])
    await archive.run()
    environment = archive.environment(core_database_url, valkey_url)

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "grandstand", "archive", *arguments]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def in_threads(*lines: tuple[str, ...]) -> Any:
        return asyncio.gather(*(asyncio.to_thread(command, *line) for line in lines))

    listed, asked, refused = await in_threads(
        ("list", "--json"), ("query", "SELECT count(*) AS events, 'inf'::double AS most FROM events", "--json"),
        ("query", "DROP TABLE no"),
    )  # fmt: skip
    (row,) = json.loads(listed.stdout)["archives"]
    assert (row["partition"], row["state"], row["events"]) == (partition(1), "dropped", 60)
    assert json.loads(asked.stdout) == [{"events": 60, "most": "inf"}]
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    (restored,) = await in_threads(("restore", str(row["archive_id"])))
    assert restored.returncode == 0, restored.stderr
    assert len(await archive.live()) == 60


async def test_a_round_without_room_says_where_it_is_missing(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive, tmp_path: Path
) -> None:
    await live_through(core, 60, months=[1])
    environment = archive.environment(core_database_url, valkey_url, database_query_timeout_seconds="1")
    # What it would leave has no room either.
    environment |= {"TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def run() -> "subprocess.CompletedProcess[str]":
        # As large as a file may be, for a disk that is full.
        line = ["prlimit", "--fsize=1024", sys.executable, "-m", "grandstand", "archive", "run"]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)

    found = await asyncio.to_thread(run)
    assert found.returncode == 4, found.stderr
    assert f"grandstand: {tmp_path}" in found.stderr
    assert "Traceback" not in found.stderr
    assert len(await archive.live()) == 60
    assert await archive.run() == 1


def test_nobody_pays_for_what_writes_files() -> None:
    """The libraries of archives are imported when a file is touched, not when a server starts."""
    roles = "http_role, scheduler_role, worker_role"
    seen = "{'duckdb', 'obstore'} & set(sys.modules)"
    code = f"import sys; from grandstand.bootstrap import {roles}; print(*sorted({seen}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == ""
