"""An archive's place is written to by one database: not by a copy of it, and not where it is not mounted."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from grandstand.bootstrap.diagnosing import diagnose
from grandstand.diagnosis.advice import Advice
from grandstand.operations.restore_archive import ArchiveRestorer
from grandstand.settings import load_settings
from grandstand.storage.archive_places import open_place
from grandstand.storage.archive_tokens import MARKER, ArchiveNotOwnedError, ArchiveTokens
from grandstand.storage.scratch import scratch_folder
from grandstand.telemetry import metrics
from grandstand.workers.archive_keeper import ArchiveKeeper
from tests.archive.year import YEAR_END, Archive, live_through, partition
from tests.support.core import Core, open_core
from tests.support.engines import RunningEngines

pytestmark = pytest.mark.anyio


def contents(archive: Archive) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in archive.files()}


async def refused(archive: Archive, reason: str) -> None:
    """A round is refused, and has changed nothing, neither in the place nor in the ledger."""
    before, states = contents(archive), await archive.states()
    for begin in (archive.run, archive.rewriter().rewrite):
        with pytest.raises(ArchiveNotOwnedError, match=reason):
            await begin()
    assert contents(archive) == before
    assert await archive.states() == states


async def events_read(archive: Archive) -> int:
    return len(await archive.archived())


@pytest.fixture
def two_names(engines: RunningEngines, template_database: str) -> Iterator[list[str]]:
    """A database of its own, and room for the name of its copy; both are dropped."""
    names = [engines.create_database(template_database)]
    yield names
    for name in names:
        engines.drop_database(name)


async def test_a_copy_of_the_database_changes_nothing_until_it_is_told_to(
    engines: RunningEngines, two_names: list[str], valkey_url: str, tmp_path: Path
) -> None:
    """As a staging clone that was started with the settings of the original."""
    url = str(tmp_path / "archive")

    @asynccontextmanager
    async def opened(name: str, prefix: str) -> AsyncIterator[Archive]:
        async with open_core(engines.database_url(name), valkey_url, prefix) as core:
            await core.definer.ensure_global()
            await core.refresh()
            yield Archive(core, url)

    async with opened(two_names[0], f"{uuid4()}:") as original:
        await live_through(original.core, 60, months=[1, 2])
        await original.run()
        assert await original.states() == {partition(1): ["dropped"], partition(2): ["dropped"]}
    two_names.append(engines.create_database(two_names[0]))
    async with opened(two_names[0], f"{uuid4()}:") as original, opened(two_names[1], f"{uuid4()}:") as copy:
        await live_through(copy.core, 20, months=[3], seed=2)
        await live_through(original.core, 20, months=[3], seed=3)
        await refused(copy, "is a copy")
        # Reading is harmless, and so is bringing events back: their files stay where they are.
        assert await events_read(copy) == 60
        before = contents(copy)
        restorer = ArchiveRestorer(copy.core.database, copy.core.ledger, copy.archives, copy.reader, copy.archiver())
        first = await copy.core.database.pool.fetchval("SELECT min(archive_id) FROM event_archives")
        assert await restorer.restore(first, YEAR_END + timedelta(days=1)) == 30
        assert contents(copy) == before
        assert await original.run() == 1, "the original goes on"
        assert await events_read(original) == 80
        await refused(copy, "is a copy")
        # Whoever means it says so, and the other one is out.
        await copy.place().adopt()
        await copy.run()
        await refused(original, "Another database has gone on")
        await original.place().adopt(without_files=True)
        await refused(copy, "Another database has gone on")


@pytest.mark.parametrize("round_before", [False, True])
async def test_a_database_that_was_set_back_is_refused(core: Core, anywhere: Archive, round_before: bool) -> None:
    """A copy of all files of the server is told from the original by its tokens alone: the one that lags is out."""
    await live_through(core, 20, months=[1])
    if round_before:
        await anywhere.run()
    tokens = await core.database.pool.fetch("SELECT token, database FROM archive_tokens")
    await live_through(core, 20, months=[2])
    await anywhere.run()
    async with core.database.transaction() as connection:
        await connection.execute("DELETE FROM archive_tokens")
        await connection.executemany("INSERT INTO archive_tokens (token, database) VALUES ($1, $2)", tokens)
    before = await anywhere.states()
    await live_through(core, 20, months=[3])
    with pytest.raises(ArchiveNotOwnedError, match="was set back"):
        await anywhere.run()
    assert await anywhere.states() == before
    await anywhere.place().adopt()
    assert await anywhere.run() == 1


async def test_a_restored_database_asks_first(core: Core, archive: Archive) -> None:
    async with core.database.connection() as connection:
        assert not await ArchiveTokens().disown(connection), "there is nothing that anybody could spoil"
    await live_through(core, 20, months=[1])
    await archive.run()
    async with core.database.connection() as connection:
        assert await ArchiveTokens().disown(connection)
    await refused(archive, "was restored")
    await archive.place().adopt()
    await archive.run()


@pytest.mark.parametrize("died_at", [None, "first file kept", "verified"])
async def test_a_folder_that_is_not_mounted_loses_nothing(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive, died_at: str | None
) -> None:
    accepted = await live_through(core, 60, months=[1])
    if died_at is None:
        await archive.run()
    else:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.archive.mortal_archiver", core_database_url, valkey_url, core.prefix,
            archive.url, died_at,
        )  # fmt: skip
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    accepted += await live_through(core, 20, months=[2])
    folder = Path(archive.url)
    mounted = folder.rename(folder.with_name("elsewhere"))
    await refused(archive, "has neither its marker nor")
    assert not folder.exists()
    folder.mkdir()
    await refused(archive, "has neither its marker nor")
    folder.rmdir()
    mounted.rename(folder)
    assert await archive.run() == (1 if died_at is None else 2)
    await archive.check(accepted)


async def test_an_archive_of_before_is_taken_over_in_silence(core: Core, anywhere: Archive) -> None:
    """It has no marker, and its database no token; a file of it shows that it is the one."""
    await live_through(core, 20, months=[1])
    await anywhere.run()
    place = open_place(anywhere.url)
    place.delete(MARKER)
    await core.database.pool.execute("DELETE FROM archive_tokens")
    await live_through(core, 20, months=[2])
    assert await anywhere.run() == 1
    assert place.has(MARKER)
    place.delete(MARKER)
    await core.database.pool.execute("DELETE FROM archive_tokens")
    for name in [row[0] for row in await core.database.pool.fetch("SELECT name FROM archive_files")]:
        place.delete(name)
    with pytest.raises(ArchiveNotOwnedError, match="has neither its marker nor"):
        await anywhere.run()
    with pytest.raises(ArchiveNotOwnedError, match="has neither its marker nor"):
        await anywhere.place().adopt()
    await anywhere.place().adopt(without_files=True)
    await live_through(core, 20, months=[3])
    assert await anywhere.run() == 1


async def test_a_new_database_leaves_the_archive_of_another_alone(core: Core, archive: Archive) -> None:
    await live_through(core, 20, months=[1])
    Path(archive.url).mkdir()
    others = json.dumps({"note": "", "token": str(uuid4())})
    for marker, reason in ((others, "Another database has gone on"), ("not JSON", "is damaged"), ("", "is damaged")):
        (Path(archive.url) / MARKER).write_text(marker)
        await refused(archive, reason)


async def test_of_two_that_begin_at_the_same_moment_one_goes_on(anywhere: Archive) -> None:
    """Both have read the same marker, and each has written a token of its own down."""
    await anywhere.place().claim()

    async def begin(step: str) -> None:
        if step == "token issued":
            await anywhere.place().claim()

    with pytest.raises(OSError, match="at the same moment"):
        await anywhere.place(begin).claim()
    await anywhere.place().claim()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "nonsense"), ("AWS_ENDPOINT_URL", ""), ("AWS_ENDPOINT_URL", "http://[bad"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:99999"), ("AWS_ENDPOINT_URL", "http://exa mple"),
        ("AWS_ENDPOINT", "localhost:9000"), ("AWS_ENDPOINT_URL_S3", "ftp://files"), ("AWS_REGION", "two\nlines"),
    ],
)  # fmt: skip
async def test_an_address_that_is_none_is_out_of_reach(
    core: Core, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(OSError, match="The bucket of archives cannot be used") as refusal:
        open_place(bucket).fetch("any", tmp_path / "copy")
    assert (name in str(refusal.value)) == ("ENDPOINT" in name)


async def test_a_marker_is_looked_for_by_those_who_may_not_list(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Amazon answers them 403 for what is not there."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        place = open_place(bucket)
        assert await asyncio.wait_for(asyncio.to_thread(place.read, MARKER), 30) is None
        with pytest.raises(PermissionError, match="bucket of archives"):
            await asyncio.wait_for(asyncio.to_thread(place.has, "a/file"), 30)


async def test_everybody_is_told(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive, capfd: pytest.CaptureFixture[str]
) -> None:
    await live_through(core, 20, months=[1])
    settings = load_settings(
        database_url=core_database_url, valkey_url=valkey_url, valkey_prefix=core.prefix, archive_url=archive.url
    )

    async def ask() -> Advice:
        (found,) = [each async for each in diagnose(settings, None) if each.check == "archive_owner"]
        return found

    assert (await ask()).status == "ok"
    await archive.run()
    assert (await ask()).status == "ok"
    await core.database.pool.execute("UPDATE archive_tokens SET database = 'elsewhere'")
    found = await ask()
    assert (found.status, "`grandstand archive adopt`" in found.do) == ("failed", True)
    await live_through(core, 20, months=[2])
    environment = archive.environment(core_database_url, valkey_url, archive_after_days="1")
    keeper = ArchiveKeeper(core.database, archive.archives, timedelta(days=1), environment, asyncio.Event())
    rounds = metrics.ARCHIVE_ROUNDS.labels("refused")
    before = rounds._value.get()
    assert await keeper.keep()
    assert rounds._value.get() == before + 1
    assert "grandstand: This database is a copy" in capfd.readouterr().err
    line = [sys.executable, "-m", "grandstand", "archive", "adopt"]
    adopted = await asyncio.to_thread(subprocess.run, line, env=environment, capture_output=True, text=True, timeout=60)
    assert adopted.returncode == 0, adopted.stderr
    assert await keeper.keep()
    assert await archive.states() == {partition(1): ["dropped"], partition(2): ["dropped"]}
    assert (await ask()).status == "ok"


async def test_what_a_killed_process_left_of_its_copies_goes(
    core: Core, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    code = (
        "import asyncio, time\nfrom grandstand.storage.scratch import scratch_folder\n"
        "async def main():\n    async with scratch_folder() as folder:\n"
        "        (folder / 'copy').write_text('x')\n        print(folder, flush=True)\n        time.sleep(60)\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)}
    )
    assert process.stdout is not None
    left = Path((await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip())
    async with scratch_folder() as folder:
        assert sorted(tmp_path.glob("grandstand-archive-*")) == sorted([folder, left]), "both are in use"
        process.kill()
        await process.wait()
        (tmp_path / "grandstand-archive-file").touch()
        async with scratch_folder():
            assert not left.exists()
        assert folder.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["grandstand-archive-file"]
