"""Reads archived events for those who need what PostgreSQL has no more: replays, exports, checks, queries.

Which files speak for events is asked in the caller's snapshot, so that with the table they have every event once. An
erasure may write a file anew meanwhile: then the new one is read, which differs in what the player said only.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from grandstand.domain.errors import UnavailableError
from grandstand.storage import parquet, queries
from grandstand.storage.archive_places import ArchivePlace, open_place
from grandstand.storage.event_archives import EventArchives, Measure
from grandstand.storage.postgres import Connection, Database
from grandstand.storage.scratch import scratch_folder

_CHUNK_EVENTS = 5_000
_TRIES = 5
_SIGN_OF_LIFE_SECONDS = 0.5
_T = TypeVar("_T")


class MissingFileError(UnavailableError):
    """The place of archived files can be reached, and a file is not there."""


class ArchivedEvents:
    """Reads the archive of one deployment; `url` is where it is, None where archives are not set up."""

    def __init__(self, database: Database, url: str | None) -> None:
        self._database = database
        self._url = url
        self._archives = EventArchives()

    @property
    def is_set_up(self) -> bool:
        """Whether it is known where archives are."""
        return self._url is not None

    async def users_among(self, connection: "Connection[Any]", user_ids: Collection[str]) -> set[str]:
        """Return which of these users have archived events; needs no files."""
        return await self._archives.archived_users(connection, user_ids)

    async def of_types(
        self, connection: "Connection[Any]", event_types: Sequence[str], leaderboard_id: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the archived events of these types in chunks, but for those quarantined on the board.

        Raises:
            UnavailableError: there are some, and they cannot be read here.
        """
        rows = await connection.fetch(queries.load("event_archives/files_of_types.sql"), list(event_types))
        if not rows:
            return
        found = await connection.fetch(queries.load("event_archives/quarantined_ids.sql"), leaderboard_id)
        held = {row["event_id"] for row in found}
        async for chunk in self._read(connection, rows, None):
            yield [row for row in chunk if row["id"] not in held] if held else chunk

    async def of_users(
        self, connection: "Connection[Any]", user_ids: Collection[str]
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the archived events of these users in chunks.

        Raises:
            UnavailableError: there are some, and they cannot be read here.
        """
        rows = await connection.fetch(queries.load("event_archives/files_of_users.sql"), list(user_ids))
        async for chunk in self._read(connection, rows, list(user_ids)):
            yield chunk

    async def of_files(
        self, connection: "Connection[Any]", files: Sequence[tuple[int, str]]
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the events of files, given by number and name, in chunks; the connection may be in a transaction.

        Raises:
            UnavailableError: they cannot be read here.
        """
        async for chunk in self._read(
            connection, [{"file_id": file_id, "name": name} for file_id, name in files], None
        ):
            yield chunk

    async def measured(self, connection: "Connection[Any]") -> AsyncIterator[tuple[str, Measure, Measure | None]]:
        """Yield each file's name, what it is to hold and what it holds; None for one that is damaged or missing.

        Raises:
            UnavailableError: the place cannot be reached, or the extra is missing.
        """
        rows = await connection.fetch(queries.load("event_archives/all_files.sql"))
        async with scratch_folder() as folder:
            copy = folder / "copy.parquet"
            for row in rows:
                try:
                    await _alive(connection, self._fetch(self._place(), row, copy))
                except MissingFileError:
                    yield row["name"], Measure(row["events"], int(row["checksum"])), None
                    continue
                is_whole = await _alive(connection, asyncio.to_thread(parquet.sha256_of, copy)) == row["sha256"]
                work = asyncio.to_thread(parquet.measure_file, copy) if is_whole else None
                found = None if work is None else await _alive(connection, work)
                yield row["name"], Measure(row["events"], int(row["checksum"])), found

    @asynccontextmanager
    async def copies(self) -> AsyncIterator[tuple[Path, list[Path]]]:
        """Lend copies of all files in a folder, which goes at the end."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(queries.load("event_archives/all_files.sql"))
        async with scratch_folder() as folder:
            paths = [folder / f"{row['file_id']}.parquet" for row in rows]
            for row, path in zip(rows, paths, strict=True):
                await self._fetch(self._place(), row, path)
            yield folder, paths

    async def _read(
        self, connection: "Connection[Any]", rows: Sequence[Any], user_ids: list[str] | None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        if not rows:
            return
        place = self._place()
        async with scratch_folder() as folder:
            copy = folder / "copy.parquet"
            for row in rows:
                await _alive(connection, self._fetch(place, row, copy))
                chunks = parquet.read_rows(copy, user_ids=user_ids, chunk_events=_CHUNK_EVENTS)
                while chunk := await _alive(connection, asyncio.to_thread(_next_of, chunks, row["name"])):
                    yield chunk

    def _place(self) -> ArchivePlace:
        if self._url is None:
            raise UnavailableError("Events are archived, and GRANDSTAND_ARCHIVE_URL does not say where.")
        try:
            return open_place(self._url)
        except OSError as error:
            raise UnavailableError(f"The archive cannot be read right now: {error}.") from error

    async def _fetch(self, place: ArchivePlace, row: Any, target: Path) -> None:
        name = row["name"]
        for _ in range(_TRIES):
            try:
                return await asyncio.to_thread(place.fetch, name, target)
            except FileNotFoundError:
                async with self._database.connection() as connection:
                    now = await connection.fetchval(queries.load("event_archives/find_name.sql"), row["file_id"])
                if now is None or now == name:
                    break
                name = now
            except OSError as error:
                raise UnavailableError(f"The archive cannot be read right now: {error}.") from error
        raise MissingFileError(f"The archived file {name} is missing.")


def _next_of(chunks: Iterator[list[dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    """Return the next chunk of a file; an empty one at its end."""
    try:
        return next(chunks, [])
    except UnavailableError as error:
        raise UnavailableError(f"The archived file {name}: {error.detail}") from error


async def _alive(connection: "Connection[Any]", work: Coroutine[Any, Any, _T]) -> _T:
    """Do work that PostgreSQL hears nothing of, in a transaction that it would end for its silence."""
    task = asyncio.ensure_future(work)
    try:
        while True:
            await connection.execute(queries.load("event_archives/sign_of_life.sql"))
            done, _ = await asyncio.wait((task,), timeout=_SIGN_OF_LIFE_SECONDS)
            if done:
                break
        return await task
    finally:
        task.cancel()
