"""Takes erased players out of archived files: each file that names one is written anew, verified, and swapped in.

Until a file is swapped the old one is as it was, and the erasure is not finished. Every name that is to go is written
down before (`archive_files_to_delete`): a process that dies at any step leaves no file that nobody knows of.
"""

import asyncio
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import structlog

from grandstand.operations.archive_events import ArchiveDiffersError, manifest, manifest_name
from grandstand.operations.own_archive import OwnedPlace
from grandstand.storage import parquet
from grandstand.storage.archive_places import ArchivePlace
from grandstand.storage.erasures import Erasure
from grandstand.storage.event_archives import ArchiveFile, EventArchives
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.postgres import Database
from grandstand.storage.scratch import scratch_folder

_log = structlog.get_logger(__name__)


class ArchiveRewriter:
    """Rewrites files for one process; of several, the fence lets one go on."""

    def __init__(
        self, database: Database, archives: EventArchives, place: OwnedPlace, *, fence: Fence = no_fence
    ) -> None:
        self._database = database
        self._archives = archives
        self._place = place
        self._fence = fence

    async def rewrite(self) -> int:
        """Take every player whose erasure is under way out of the files; return how many files were written anew.

        Raises:
            UnavailableError: PostgreSQL is out of reach, or the extra is missing.
            OSError: the place of the files is out of reach.
            ArchiveNotOwnedError: it is not this database's; nothing has changed.
        """
        await self._place.claim()
        await self._delete_replaced()
        async with self._database.connection() as connection:
            wanted = await self._archives.users_to_rewrite(connection)
        count = 0
        touched: dict[int, None] = {}
        for erasure, archive_id in wanted:
            count += await self._rewrite(erasure, archive_id)
            touched[archive_id] = None
        for archive_id in touched:
            await self._keep_manifest(archive_id)
        await self._delete_replaced()
        return count

    async def _rewrite(self, erasure: Erasure, archive_id: int) -> int:
        async with self._database.connection() as connection:
            files = await self._archives.list_files(connection, archive_id)
        count, later, later_from = 0, 0, None
        async with scratch_folder() as folder:
            for file_id, file in files:
                copy = folder / "copy.parquet"
                await asyncio.to_thread(self._place.files.fetch, file.name, copy)
                times = await asyncio.to_thread(_times_of, copy, erasure.user_id)
                after = [time for time in times if time > erasure.requested_at]
                later += len(after)
                later_from = min([*after, *([] if later_from is None else [later_from])], default=None)
                if len(after) < len(times):
                    await self._replace(erasure, file_id, file, copy)
                    count += 1
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.rename_user(connection, archive_id, erasure, later, later_from)
        _log.info("archive_rewritten", archive_id=archive_id, files=count)
        return count

    async def _replace(self, erasure: Erasure, file_id: int, file: ArchiveFile, copy: Path) -> None:
        target = copy.with_name("anew.parquet")
        measure = await asyncio.to_thread(
            parquet.rewrite_user, copy, target, erasure.user_id, erasure.pseudonym, erasure.requested_at
        )
        if measure.events != file.events:
            raise ArchiveDiffersError(f"{file.name} holds {file.events} events, and written anew {measure.events}.")
        folder, _, last = file.name.rpartition("/")
        name = f"{folder}/{last.partition('.')[0]}.{uuid4().hex[:12]}.parquet"
        anew = parquet.describe(target, file.day, file.event_type, name, measure)
        # Written down before it is there: a process that dies leaves nothing that nobody knows of.
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.mark_for_deletion(connection, name)
        await self._place.put(name, target)
        await asyncio.to_thread(_check, self._place.files, anew, copy)
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.replace_file(connection, file_id, file, anew)

    async def _keep_manifest(self, archive_id: int) -> None:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            archive = await self._archives.sum_files(connection, archive_id)
            files = [file for _, file in await self._archives.list_files(connection, archive_id)]
        async with scratch_folder() as folder:
            path = folder / "manifest.json"
            path.write_bytes(manifest(archive, files))
            await self._place.put(manifest_name(archive_id), path)

    async def _delete_replaced(self) -> None:
        async with self._database.connection() as connection:
            names = await self._archives.to_delete(connection)
        for name in names:
            await self._place.delete(name)
            async with self._database.transaction() as connection:
                await self._fence(connection)
                await self._archives.mark_deleted(connection, name)


def _times_of(path: Path, user_id: str) -> list[datetime]:
    chunks = parquet.read_rows(path, user_ids=[user_id], chunk_events=10_000)
    return [row["received_at"] for chunk in chunks for row in chunk]


def _check(place: ArchivePlace, file: ArchiveFile, copy: Path) -> None:
    place.fetch(file.name, copy)
    if parquet.sha256_of(copy) != file.sha256:
        raise ArchiveDiffersError(f"The file {file.name} is not the one that was written.")
