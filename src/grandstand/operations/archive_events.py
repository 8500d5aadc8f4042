"""Takes partitions of old events out of PostgreSQL into files, one step after the other, any of which may be the last.

```
             sealed: every change is noticed          read back: counts and checksums agree
 partition ──────────────────────────► EXPORTING ──────────────────────────► VERIFIED
     ▲                                     │                                     │ one transaction: the partition is
     │      killed, changed, differing     ▼                  changed            │ detached, the files speak for it
     └─────────────────────────────── ABANDONED ◄────────────────────────────────┤
                                      (files deleted)                            ▼
                                                              DROPPED ◄────── DETACHED
                                                              (the table is gone; files are there still)
```

A reader sees each event in the table or in the files, as of its snapshot, never in both or in neither. What is found
EXPORTING is of a process that died: it is given up and begun anew. docs/decisions/0027 has the reasons.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog

from grandstand.domain.partitions import PartitionRange
from grandstand.operations.own_archive import OwnedPlace, Step, no_step
from grandstand.storage import parquet
from grandstand.storage.archive_places import ArchivePlace
from grandstand.storage.event_archives import ArchiveFile, EventArchive, EventArchives, Measure, export_file
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.rollups import RollupsBusyError, RollupStore
from grandstand.storage.scratch import scratch_folder

_ATTEMPTS = 20
"""How often a lock is tried that would hold others back, before it is left for another time."""
_ATTEMPT_SECONDS = 1.0
"""Between two tries: everybody who waited behind one has a turn."""
_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class ArchiveDiffersError(Exception):
    """Files do not hold what they were to hold. Nothing was taken out of PostgreSQL."""


class EventArchiver:
    """Archives for one process; of several, the fence lets one go on."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        archives: EventArchives,
        place: OwnedPlace,
        *,
        fence: Fence = no_fence,
        on_step: Step = no_step,
        attempts: int = _ATTEMPTS,
        attempt_seconds: float = _ATTEMPT_SECONDS,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._archives = archives
        self._place = place
        self._fence = fence
        self._on_step = on_step
        self._attempts = attempts
        self._attempt_seconds = attempt_seconds
        self._rollups = RollupStore()

    async def archive(self, ends_by: datetime, now: datetime) -> int:
        """Archive every partition whose range was over at `ends_by`; return how many left PostgreSQL.

        A partition that is in use all the time is left for the next round.

        Raises:
            UnavailableError: PostgreSQL is out of reach, or the extra is missing.
            OSError: the place of the files is out of reach.
            ArchiveNotOwnedError: it is not this database's; nothing has changed.
            ArchiveDiffersError: files were read back otherwise than they were written.
        """
        await self._place.claim()
        count = await self._resume()
        async with self._database.connection() as connection:
            due = await self._archives.list_due(connection, ends_by, now)
        for each in due:
            archive_id = await self.patiently(partial(self._begin, each))
            if archive_id is None:
                continue
            await self._on_step("sealed")
            archive = EventArchive(archive_id, *each, "exporting", False, None, None)
            count += await self._finish(archive)
        return count

    async def _resume(self) -> int:
        """Bring to an end what a process left that is no more; return how many partitions left."""
        count = 0
        async with self._database.transaction() as connection:
            await self._fence(connection)
            for table in await self._archives.list_restoring(connection):
                # Who restores is alone, as this process is now.
                await self._archives.drop_restoring(connection, table)
        async with self._database.connection() as connection:
            under_way = await self._archives.under_way(connection)
        for archive in under_way:
            match archive.state:
                case "exporting":
                    await self._give_up(archive)
                case "verified":
                    # Somebody may have touched the files meanwhile.
                    count += await self._leave(archive)
                case "detached":
                    count += await self._drop(archive)
                case _:
                    await self.forget(archive)
        return count

    async def _begin(self, each: Any) -> int:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            return await self._archives.begin(connection, each)

    async def _finish(self, archive: EventArchive) -> bool:
        async with scratch_folder() as folder:
            measure, first_at, last_at = await self._export(archive, folder / "export.csv")
            await self._on_step("exported")
            written = await asyncio.to_thread(parquet.write_files, folder / "export.csv", folder, archive.archive_id)
            files = [file for _, file in written]
            async with self._database.transaction() as connection:
                await self._fence(connection)
                await self._archives.add_files(connection, archive.archive_id, files)
            for number, (path, file) in enumerate(written):
                await self._place.put(file.name, path)
                if number == 0:
                    await self._on_step("first file kept")
        await self._on_step("files kept")
        archive = archive._replace(events=measure.events, checksum=measure.checksum)
        await self._verify(archive, files)
        await self._keep_manifest(archive, files)
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.add_users_and_ids(connection, archive)
            if not await self._archives.mark_verified(connection, archive.archive_id, measure, first_at, last_at):
                return False
        await self._on_step("verified")
        return await self._leave(archive._replace(state="verified"), files)

    async def _export(self, archive: EventArchive, target: Path) -> tuple[Measure, datetime | None, datetime | None]:
        with export_file(target) as write:
            async with self._database.snapshot() as connection:
                found = await self._archives.measure(connection, archive.partition)
                await self._archives.copy_out(connection, archive.partition, write)
        return found

    async def _verify(self, archive: EventArchive, files: list[ArchiveFile]) -> None:
        """Read every file back from its place.

        Raises:
            ArchiveDiffersError: something is missing or different.
        """
        total = Measure(0, 0)
        async with scratch_folder() as folder:
            copy = folder / "copy.parquet"
            for file in files:
                found = await asyncio.to_thread(_look_at, self._place.files, file, copy)
                total = Measure(total.events + found.events, total.checksum + found.checksum)
        if total != (archive.events, archive.checksum):
            raise ArchiveDiffersError(
                f"The files of archive {archive.archive_id} ({archive.partition}) hold {total.events} events and the "
                f"checksum {total.checksum} instead of {archive.events} and {archive.checksum}."
            )

    async def _keep_manifest(self, archive: EventArchive, files: list[ArchiveFile]) -> None:
        async with scratch_folder() as folder:
            path = folder / "manifest.json"
            path.write_bytes(manifest(archive, files))
            await self._place.put(manifest_name(archive.archive_id), path)

    async def _leave(self, archive: EventArchive, verified: list[ArchiveFile] | None = None) -> bool:
        """Detach and drop a verified partition; return whether it left.

        Of one that is not `verified` by this process the files are looked at again.
        """
        if verified is None and not archive.is_stale:
            async with self._database.connection() as connection:
                files = [file for _, file in await self._archives.list_files(connection, archive.archive_id)]
            try:
                await self._verify(archive, files)
            except (ArchiveDiffersError, FileNotFoundError) as error:
                # The partition is there still: the next round writes it anew, and nobody has to mend what nobody reads.
                _log.error("archive_damaged", archive_id=archive.archive_id, error=str(error))
                await self._give_up(archive)
                return False
        detached = await self.patiently(partial(self._detach, archive))
        if detached is None:
            _log.info("partition_in_use", partition=archive.partition)
            return False
        if not detached:
            _log.info("partition_changed", partition=archive.partition)
            await self._give_up(archive)
            return False
        await self._on_step("detached")
        return await self._drop(archive._replace(state="detached"))

    async def _detach(self, archive: EventArchive) -> bool:
        # Before the ledger is held, so that no batch waits for it.
        while await self._count_some(archive):
            pass
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.limit_lock_waits(connection)
            # Alone: the next batch looks up its ids when the partition has left, and sees those of the archive.
            await self._ledger.seize(connection)
            if await self._has_queued(connection, archive):
                raise RollupsBusyError
            return await self._archives.detach(connection, archive)

    async def _count_some(self, archive: EventArchive) -> int:
        """Count into the rollups while the partition's events wait for it: of some the rows themselves are read."""
        async with self._database.transaction() as connection:
            await self._fence(connection)
            if not await self._has_queued(connection, archive):
                return 0
            await self._rollups.lock(connection)
            return (await self._rollups.count(connection)).batches

    async def _has_queued(self, connection: "Connection[Any]", archive: EventArchive) -> bool:
        partition = PartitionRange(archive.partition, archive.starts_at, archive.ends_at)
        return await self._rollups.has_queued(connection, partition)

    async def _drop(self, archive: EventArchive) -> bool:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.drop(connection, archive)
        await self._on_step("dropped")
        _log.info("partition_archived", partition=archive.partition, events=archive.events)
        return True

    async def _give_up(self, archive: EventArchive) -> None:
        """Leave the partition as it is; the next round begins anew."""
        if await self.patiently(partial(self._abandon, archive)):
            await self.forget(archive)

    async def _abandon(self, archive: EventArchive) -> bool:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            return await self._archives.give_up(connection, archive)

    async def forget(self, archive: EventArchive) -> None:
        """Delete the files of an archive that does not speak for its events.

        Raises:
            ArchiveNotOwnedError: the place is not this database's; nothing has changed.
        """
        async with self._database.connection() as connection:
            files = await self._archives.list_files(connection, archive.archive_id)
        for name in [file.name for _, file in files] + [manifest_name(archive.archive_id)]:
            await self._place.delete(name)
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.forget(connection, archive.archive_id)

    async def patiently(self, action: Callable[[], Awaitable[_T]]) -> _T | None:
        """Do what needs a lock, now or in a moment; None when it never came free."""
        for attempt in range(self._attempts):
            try:
                return await action()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError, RollupsBusyError):
                if attempt + 1 < self._attempts:
                    # Everybody who waited behind the attempt has a turn before the next one.
                    await asyncio.sleep(self._attempt_seconds)
        return None


def _look_at(place: ArchivePlace, file: ArchiveFile, copy: Path) -> Measure:
    place.fetch(file.name, copy)
    if parquet.sha256_of(copy) != file.sha256:
        raise ArchiveDiffersError(f"The file {file.name} is not the one that was written.")
    found = parquet.measure_file(copy)
    if found != (file.events, file.checksum):
        raise ArchiveDiffersError(f"The file {file.name} holds {found.events} events instead of {file.events}.")
    return found


def manifest_name(archive_id: int) -> str:
    """Return the name of the manifest that lies beside the files."""
    return f"manifests/{archive_id}.json"


def manifest(archive: EventArchive, files: list[ArchiveFile]) -> bytes:
    """Return what PostgreSQL keeps of an archive as JSON."""
    content = {
        "archive_id": archive.archive_id,
        "partition": archive.partition,
        "received_from": archive.starts_at,
        "received_before": archive.ends_at,
        "events": archive.events,
        "checksum": str(archive.checksum),
        "files": [
            {
                **file._asdict(),
                "checksum": str(file.checksum),
                "sha256": file.sha256.hex(),
            }
            for file in files
        ],
    }
    return msgspec.json.format(msgspec.json.encode(content))
