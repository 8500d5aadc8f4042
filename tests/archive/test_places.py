"""Restoring, asking and damaging archives; and the same against a server that speaks S3."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from grandstand.operations.query_archive import QueryRefusedError, query
from grandstand.operations.restore_archive import ArchiveRestorer, NotRestorableError
from tests.archive.year import YEAR_END, Archive, live_through, partition
from tests.support.core import Core
from tests.support.invariants import broken, subject_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio

UPKEEP = """
SELECT c.reloptions, array_agg((a.attname, a.attstattarget)::text ORDER BY a.attnum)
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.oid = $1::regclass GROUP BY c.oid
"""
"""When and of what a table is analyzed, and when it is vacuumed."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """A bucket on a server of this module, named as operators name theirs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)

    def is_made() -> bool:
        try:
            return httpx.put(f"http://127.0.0.1:{port}/games", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(is_made, 60.0)
        yield "s3://games/events/archive"
    finally:
        process.kill()
        process.wait()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request: pytest.FixtureRequest, core: Core, archive: Archive) -> Archive:
    return archive if request.param == "folder" else Archive(core, request.getfixturevalue("bucket"))


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


async def test_the_scheduler_archives_in_a_process_of_its_own(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive
) -> None:
    from grandstand.workers.archive_keeper import ArchiveKeeper

    accepted = await live_through(core, 60, months=[1])
    environment = os.environ | {
        "GRANDSTAND_DATABASE_URL": core_database_url, "GRANDSTAND_VALKEY_URL": valkey_url,
        "GRANDSTAND_VALKEY_PREFIX": core.prefix, "GRANDSTAND_ARCHIVE_URL": archive.url,
        "GRANDSTAND_ARCHIVE_AFTER_DAYS": "1",
    }  # fmt: skip
    keeper = ArchiveKeeper(core.database, archive.archives, timedelta(days=1), environment, asyncio.Event())
    assert await keeper.keep()
    assert await archive.states() == {partition(1): ["dropped"]}
    await archive.check(accepted)
    assert not await keeper.keep(), "there is nothing left to do"


async def test_the_commands(core: Core, core_database_url: str, valkey_url: str, archive: Archive) -> None:
    await live_through(core, 60, months=[1])
    await archive.run()
    environment = os.environ | {
        "GRANDSTAND_DATABASE_URL": core_database_url, "GRANDSTAND_VALKEY_URL": valkey_url,
        "GRANDSTAND_VALKEY_PREFIX": core.prefix, "GRANDSTAND_ARCHIVE_URL": archive.url,
    }  # fmt: skip

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "grandstand", "archive", *arguments]
        return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def in_threads(*lines: tuple[str, ...]) -> Any:
        return asyncio.gather(*(asyncio.to_thread(command, *line) for line in lines))

    listed, asked, refused = await in_threads(
        ("list", "--json"), ("query", "SELECT count(*) AS events FROM events", "--json"), ("query", "DROP TABLE no"),
    )  # fmt: skip
    (row,) = json.loads(listed.stdout)["archives"]
    assert (row["partition"], row["state"], row["events"]) == (partition(1), "dropped", 60)
    assert json.loads(asked.stdout) == [{"events": 60}]
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
    (restored,) = await in_threads(("restore", str(row["archive_id"])))
    assert restored.returncode == 0, restored.stderr
    assert len(await archive.live()) == 60


def test_nobody_pays_for_what_writes_files() -> None:
    """The libraries of archives are imported when a file is touched, not when a server starts."""
    roles = "http_role, scheduler_role, worker_role"
    seen = "{'duckdb', 'obstore'} & set(sys.modules)"
    code = f"import sys; from grandstand.bootstrap import {roles}; print(*sorted({seen}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.strip() == ""
