"""Brings an archived partition back into PostgreSQL for a while, verified before its files go."""

import contextlib
from datetime import datetime

import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.operations.archive_events import ArchiveDiffersError, EventArchiver
from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.archive_tokens import ArchiveNotOwnedError
from grandstand.storage.event_archives import EventArchive, EventArchives, Measure
from grandstand.storage.fencing import Fence, no_fence
from grandstand.storage.ledger import Ledger
from grandstand.storage.parquet import COLUMNS
from grandstand.storage.postgres import Database

_log = structlog.get_logger(__name__)


class NotRestorableError(Exception):
    """There is no such archive, or its events are in PostgreSQL already; the message is one sentence."""


class ArchiveRestorer:
    """Restores archives for one process."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        archives: EventArchives,
        archived: ArchivedEvents,
        archiver: EventArchiver,
        *,
        fence: Fence = no_fence,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._archives = archives
        self._archived = archived
        self._archiver = archiver
        self._fence = fence

    async def restore(self, archive_id: int, until: datetime) -> int:
        """Bring an archive back; it is archived anew after `until`. Return how many events came back.

        Its files are deleted by their owner only: where this database is none, they stay.

        Raises:
            NotRestorableError: there is nothing to restore.
            ArchiveDiffersError: the files do not hold what was archived, or changed meanwhile; nothing has changed.
            UnavailableError: PostgreSQL or the files are out of reach.
        """
        async with self._database.connection() as connection:
            archive = await self._archives.find(connection, archive_id)
            if archive is None or archive.state != "dropped":
                raise NotRestorableError(f"There is no archive {archive_id} whose events left PostgreSQL.")
            files = await self._archives.files_of(connection, archive_id)
        try:
            measure = await self._fill(archive, files)
            if measure != (archive.events, archive.checksum):
                raise ArchiveDiffersError(f"The files of archive {archive_id} do not hold what was archived.")
            await self._attach(archive, until)
        except BaseException:
            # Whose events these are may be erased, and what is no partition is not searched for them. Where this fails
            # as well, the next round of archiving does it, and erasures wait for that.
            with contextlib.suppress(Exception):
                async with self._database.connection() as connection:
                    await self._archives.drop_restoring(connection, archive.restoring)
            raise
        _log.info("archive_restored", archive_id=archive_id, events=measure.events)
        try:
            await self._archiver.forget(archive)
        except ArchiveNotOwnedError as error:
            _log.warning("archived_files_stay", archive_id=archive_id, reason=str(error))
        return measure.events

    async def _attach(self, archive: EventArchive, until: datetime) -> None:
        async with self._database.transaction() as connection:
            await self._fence(connection)
            await self._archives.make_partitions(connection, archive)
        async with self._database.transaction() as connection:
            await self._fence(connection)
            # Before the ledger is held, so that no batch waits for it.
            is_merged = await self._archives.merge(connection, archive)

            async def attach() -> bool:
                # What is merged stays so when a lock does not come free.
                async with connection.transaction():
                    await self._archives.limit_lock_waits(connection)
                    await self._ledger.seize(connection)
                    return await self._archives.attach(connection, archive, until, is_merged=is_merged)

            is_same = await self._archiver.patiently(attach)
            if is_same is None:
                raise UnavailableError("Events are written and read all the time; try again.")
            if not is_same:
                raise ArchiveDiffersError(f"Archive {archive.archive_id} changed meanwhile; try again.")

    async def _fill(self, archive: EventArchive, files: list[tuple[int, str]]) -> Measure:
        if not files:
            raise UnavailableError(f"Archive {archive.archive_id} has no files.")
        async with self._database.connection() as connection:
            await self._archives.create_restoring(connection, archive)
            async for chunk in self._archived.of_files(connection, files):
                await connection.copy_records_to_table(
                    archive.restoring, records=[tuple(row[name] for name in COLUMNS) for row in chunk], columns=COLUMNS
                )
            await self._archives.index_restoring(connection, archive)
            measure, _, _ = await self._archives.measure(connection, archive.restoring)
        return measure
