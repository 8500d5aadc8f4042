"""Killed with `kill -9` at any step, archiving loses nothing and drops nothing that is not verified."""

import asyncio
import signal
import sys
from collections.abc import Sequence

import pytest

from grandstand.domain.events import Event
from tests.archive.year import Archive, live_through, partition
from tests.support.core import Core

pytestmark = pytest.mark.anyio

STEPS = {
    "token issued": None,
    "marker written": None,
    "sealed": "exporting",
    "exported": "exporting",
    "first file kept": "exporting",
    "files kept": "exporting",
    "verified": "verified",
    "detached": "detached",
    "dropped": "dropped",
}
"""After which step the process dies, and the state that it leaves the archive in, if there is one by then."""


@pytest.mark.parametrize("step", list(STEPS))
async def test_killed_after(core: Core, core_database_url: str, valkey_url: str, archive: Archive, step: str) -> None:
    accepted = await live_through(core, 60, months=[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.archive.mortal_archiver", core_database_url, valkey_url, core.prefix, archive.url,
        step,
    )  # fmt: skip
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    state = STEPS[step]
    assert await archive.states() == ({} if state is None else {partition(1): [state]})
    await archive.check(accepted)
    if state in (None, "exporting", "verified"):
        assert len(await archive.live()) == len(accepted), "nothing leaves before it is verified"
    await archive.run()
    await check_gone(core, archive, accepted)


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_files_that_were_damaged_before_their_partition_left_are_written_anew(
    core: Core, core_database_url: str, valkey_url: str, archive: Archive, is_deleted: bool
) -> None:
    """Whoever is killed between the two leaves files that somebody may touch; nobody else has to do anything then."""
    accepted = await live_through(core, 60, months=[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.archive.mortal_archiver", core_database_url, valkey_url, core.prefix, archive.url,
        "verified",
    )  # fmt: skip
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    path = next(file for file in archive.files() if file.suffix == ".parquet")
    content = path.read_bytes()
    path.unlink()
    if not is_deleted:
        path.write_bytes(content[:-8])
    await archive.run()
    await archive.check(accepted)
    await archive.run()
    await check_gone(core, archive, accepted)


async def check_gone(core: Core, archive: Archive, accepted: Sequence[Event]) -> None:
    await archive.check(accepted)
    assert await archive.live() == []
    left = await core.database.pool.fetchval("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'leaving%'")
    assert left == 0
    named = {row[0] for row in await core.database.pool.fetch("SELECT name FROM archive_files")}
    assert {str(path.relative_to(archive.url)) for path in archive.files() if path.suffix != ".json"} == named
