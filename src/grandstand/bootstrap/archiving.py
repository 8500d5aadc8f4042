"""Archiving, restoring and asking the archive, in a process of its own: it needs much memory for a while."""

import asyncio
import contextlib
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

from grandstand import clock
from grandstand.bootstrap.core import Core, EngineUnreachableError, checked_core
from grandstand.domain.errors import UnavailableError, first_line
from grandstand.operations.archive_events import ArchiveDiffersError, EventArchiver
from grandstand.operations.own_archive import OwnedPlace
from grandstand.operations.query_archive import QueryResult, query
from grandstand.operations.restore_archive import ArchiveRestorer
from grandstand.operations.rewrite_archives import ArchiveRewriter
from grandstand.settings import Settings, SettingsError
from grandstand.storage.archive_places import open_place
from grandstand.storage.event_archives import EventArchives
from grandstand.workers.leader import LIFE_SECONDS, Leader

LEASE = "archive"
_T = TypeVar("_T")


class Round(NamedTuple):
    """What a round of archiving did. `is_first` is False when another process was at work."""

    partitions: int
    rewritten: int
    is_first: bool


class AnotherAtWorkError(Exception):
    """Another process archives right now."""


async def list_archives(settings: Settings) -> list[dict[str, Any]]:
    """Return the manifest of every archive.

    Raises:
        EngineUnreachableError: PostgreSQL or Valkey is out of reach.
    """
    async with _opened(settings) as core, core.database.connection() as connection:
        return await EventArchives().list_all(connection)


async def archive_once(settings: Settings) -> Round:
    """Take erased players out of files, then archive what is due.

    Raises:
        EngineUnreachableError: an engine or the place of the files is out of reach.
        ArchiveNotOwnedError: the place is not this database's; nothing has changed.
        ArchiveDiffersError: files were read back otherwise than they were written.
        SettingsError: it is not set where archives are.
    """

    async def work(core: Core, leader: Leader) -> Round:
        place, archives = _place(core, leader), EventArchives()
        now = clock.now()
        age = timedelta(days=settings.archive_after_days)
        async with core.database.connection() as connection:
            if not await archives.has_work(connection, now - age, now):
                return Round(0, 0, True)
        rewriter = ArchiveRewriter(core.database, archives, place, fence=leader.fence)
        archiver = EventArchiver(core.database, core.ledger, archives, place, fence=leader.fence)
        trouble: Exception | None = None
        rewritten = 0
        try:
            rewritten = await rewriter.rewrite()
        except (OSError, UnavailableError, ArchiveDiffersError) as error:
            # A file that is missing holds up the erasures that it is about, and not what has nothing to do with them.
            trouble = error
        partitions = await archiver.archive(now - age, now)
        if trouble is not None:
            raise trouble
        return Round(partitions, rewritten, True)

    try:
        return await _alone(settings, work)
    except AnotherAtWorkError:
        return Round(0, 0, False)


async def restore_archive(settings: Settings, archive_id: int, days: int) -> int:
    """Bring an archive back into PostgreSQL for some days; return how many events came back.

    Raises:
        NotRestorableError, ArchiveDiffersError: it cannot be brought back.
        AnotherAtWorkError: another process archives right now.
        EngineUnreachableError, SettingsError: as for `archive_once`.
    """

    async def work(core: Core, leader: Leader) -> int:
        archives = EventArchives()
        archiver = EventArchiver(core.database, core.ledger, archives, _place(core, leader), fence=leader.fence)
        restorer = ArchiveRestorer(
            core.database, core.ledger, archives, core.archived, archiver, fence=leader.fence
        )  # fmt: skip
        return await restorer.restore(archive_id, clock.now() + timedelta(days=days))

    return await _alone(settings, work)


async def query_archive(settings: Settings, sql: str) -> QueryResult:
    """Run a statement of DuckDB's over the archived events, the view `events`.

    Raises:
        QueryRefusedError: DuckDB does not take it.
        EngineUnreachableError, SettingsError: as for `archive_once`.
    """
    _url(settings)
    async with _opened(settings) as core:
        return await query(core.archived, sql)


async def adopt_archive(settings: Settings, *, without_files: bool) -> None:
    """Let this database go on with an archive, whoever's it was.

    Raises:
        ArchiveNotOwnedError: the archived files are not there, and it is not to be done without them.
        AnotherAtWorkError: another process archives right now.
        EngineUnreachableError, SettingsError: as for `archive_once`.
    """

    async def work(core: Core, leader: Leader) -> None:
        await _place(core, leader).adopt(without_files=without_files)

    await _alone(settings, work)


def _place(core: Core, leader: Leader) -> OwnedPlace:
    return OwnedPlace(core.database, open_place(_url(core.settings)), fence=leader.fence)


def _url(settings: Settings) -> str:
    if settings.archive_url is None:
        raise SettingsError("Setting GRANDSTAND_ARCHIVE_URL is missing: a folder, or s3://bucket/prefix.")
    return settings.archive_url


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Core]:
    async with checked_core(settings, must_be_durable=False) as core:
        try:
            yield core
        except OSError as error:
            raise EngineUnreachableError(f"The archive cannot be reached: {first_line(error)}.") from error


async def _alone(settings: Settings, work: Callable[[Core, Leader], Awaitable[_T]]) -> _T:
    """Do work as the only process that archives.

    Raises:
        AnotherAtWorkError: another one does, or one that died did seconds ago.
    """
    async with _opened(settings) as core:
        holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        leader, stop = Leader(core.database, core.leases, holder, name=LEASE), asyncio.Event()
        leading = asyncio.ensure_future(leader.run(stop))
        try:
            try:
                await asyncio.wait_for(leader.wait_for_term(), 2 * LIFE_SECONDS)
            except TimeoutError:
                raise AnotherAtWorkError("Another process archives right now.") from None
            outcome: list[_T] = []

            async def round_of_work() -> None:
                outcome.append(await work(core, leader))

            await leader.while_leading(round_of_work)()
            if not outcome:
                raise AnotherAtWorkError("Another process took over.")
            return outcome[0]
        finally:
            stop.set()
            with contextlib.suppress(asyncio.CancelledError):
                await leading
