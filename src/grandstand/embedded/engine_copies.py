"""Copies of the embedded engines' data, made while they run, and put back into a new data folder.

Valkey's copy must be made before PostgreSQL's: docs/operating/backup.md says why.
"""

import asyncio
import contextlib
import os
import shlex
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from grandstand.embedded.binaries import postgres_programs
from grandstand.embedded.data_folder import DataFolder
from grandstand.embedded.errors import BackupError
from grandstand.embedded.identity import Identity

_APPEND_ONLY = "appendonlydir"
_APPEND_ONLY_MANIFEST = "appendonly.aof.manifest"
_HISTORY = "h"
_ATTEMPTS = 20
_OF_RECOVERY = ("restore_command", "recovery_target", "hot_standby")
_BASE, _LOG = "base.tar.gz", "pg_wal.tar.gz"


@dataclass(frozen=True)
class PointInTime:
    """Where the archive of PostgreSQL's log is, and until when it is followed: a time as PostgreSQL reads it."""

    archive: Path
    until: str


def copy_valkey(data_dir: Path, to: Path) -> None:
    """Copy the append-only files: everything that was acknowledged before the call is in the copy.

    Files are only added to or replaced by new ones under new names, and a manifest names those that count. When they
    are open and the manifest still says the same, they belong together, whatever becomes of their names.

    Raises:
        BackupError: there are none.
        OSError: the copy cannot be written.
    """
    source = data_dir / "valkey" / _APPEND_ONLY
    for _ in range(_ATTEMPTS):
        with contextlib.ExitStack() as stack, contextlib.suppress(FileNotFoundError):
            text = (source / _APPEND_ONLY_MANIFEST).read_text()
            kept = [line.split() for line in text.splitlines() if line.split()[5] != _HISTORY]
            opened = {words[1]: stack.enter_context((source / words[1]).open("rb")) for words in kept}
            if (source / _APPEND_ONLY_MANIFEST).read_text() != text:
                continue
            to.mkdir(mode=0o700)
            for name, handle in opened.items():
                with (to / name).open("wb") as copy:
                    shutil.copyfileobj(handle, copy)
                    os.fsync(copy.fileno())
            (to / _APPEND_ONLY_MANIFEST).write_text("".join(" ".join(words) + "\n" for words in kept))
            return
    raise BackupError(f"Valkey's append-only files are not where they should be: {source}.")


def copy_postgres(database_url: str, to: Path) -> None:
    """Make a base backup that needs no other file to be started from.

    Raises:
        BackupError: PostgreSQL or the disk refuses.
    """
    options = ("--format", "tar", "--wal-method", "stream", "--checkpoint", "fast", "--compress", "client-gzip:1")
    program = postgres_programs() / "pg_basebackup"
    done = subprocess.run(
        [program, "--dbname", database_url, "--pgdata", to, *options, "--label", "grandstand backup"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        words = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise BackupError(f"PostgreSQL's backup failed: {words.removeprefix('pg_basebackup: error: ')}.")


def postgres_major() -> int:
    """Return the version of PostgreSQL that runs here: a cluster starts under that one only."""
    done = subprocess.run([postgres_programs() / "postgres", "--version"], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[2].partition(".")[0])


def put_back_valkey(backup: Path, folder: DataFolder) -> None:
    """Put the append-only files into a data folder that has none."""
    target = folder.path / "valkey" / _APPEND_ONLY
    shutil.copytree(backup, target)
    _own(target, folder.identity)


def put_back_postgres(backup: Path, folder: DataFolder, point: PointInTime | None) -> None:
    """Make a cluster of a base backup, which recovers at its first start; with `point` it stops there.

    Raises:
        BackupError: the files cannot be unpacked.
    """
    fresh = folder.path / f"postgres.new-{os.getpid()}"
    fresh.mkdir(mode=0o700)
    try:
        for name, target in ((_BASE, fresh), (_LOG, fresh / "pg_wal")):
            # Not as a stream: the log is compressed in several pieces.
            with tarfile.open(backup / name, "r:gz") as archive:
                archive.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BackupError(f"PostgreSQL's backup cannot be unpacked: {error}.") from error
    # What it would archive has names that the archive of the log has already, of what was written after the backup.
    _set(fresh, archive_mode="off")
    if point is not None:
        _recover_until(fresh, point)
    _own(fresh, folder.identity)
    fresh.chmod(0o700)
    fresh.replace(folder.path / "postgres")


async def end_recovery(folder: DataFolder) -> None:
    """Take back what `put_back_postgres` told a cluster of the point in time, once it has come there."""
    path = folder.path / "postgres" / "postgresql.auto.conf"
    lines = await asyncio.to_thread(path.read_text)
    kept = [line for line in lines.splitlines(keepends=True) if not line.startswith(_OF_RECOVERY)]
    await asyncio.to_thread(path.write_text, "".join(kept))


def _recover_until(cluster: Path, point: PointInTime) -> None:
    file = shlex.quote(str(point.archive.resolve())).replace("%", "%%") + "/%f"
    _set(
        cluster,
        restore_command=f'cp {file} "%p"',
        recovery_target_time=point.until,
        recovery_target_action="promote",
        # Until it is there nobody needs to read, and so it may take fewer connections than the one that wrote the log.
        hot_standby="off",
    )
    (cluster / "recovery.signal").touch()


def _set(cluster: Path, **values: str) -> None:
    with (cluster / "postgresql.auto.conf").open("a") as handle:
        handle.writelines(f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in values.items())


def _own(folder: Path, identity: Identity) -> None:
    for path in (folder, *folder.rglob("*")):
        identity.own(path)
