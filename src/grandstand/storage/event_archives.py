"""The manifest of archived events in PostgreSQL, and the statements that a partition leaves by.

Every method runs on the caller's connection. Names of partitions are made by code, never from input.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from grandstand.domain.errors import UnavailableError
from grandstand.domain.partitions import PartitionRange
from grandstand.storage import queries
from grandstand.storage.erasures import Erasure
from grandstand.storage.event_log import LOCK_WAIT_MILLISECONDS, EventLog
from grandstand.storage.postgres import Connection

LONG_SECONDS = 24 * 3600.0
"""Limit of statements that read a whole partition; they hold back nobody."""

_FIT = re.compile(r"[a-z0-9_]+|[0-9T:+-]+")


class Measure(NamedTuple):
    """What a set of events comes to. `checksum` is a sum of hashes, so it does not depend on the order."""

    events: int
    checksum: int


class EventArchive(NamedTuple):
    """A partition on its way out, or out."""

    archive_id: int
    partition: str
    starts_at: datetime
    ends_at: datetime
    state: str
    is_stale: bool
    events: int | None
    checksum: int | None

    @property
    def leaving(self) -> str:
        """Name of the table between its detachment and its end."""
        return f"leaving_{self.archive_id}_{self.partition}"

    @property
    def restoring(self) -> str:
        """Name of the table into which it is restored."""
        return f"restoring_{self.archive_id}_{self.partition}"


class ArchiveFile(NamedTuple):
    """A file of an archive: the events of one type that were received on one day."""

    day: date
    event_type: str
    name: str
    events: int
    checksum: int
    size_bytes: int
    sha256: bytes


class ArchiveSight(NamedTuple):
    """An archive with the number and bytes of its files."""

    archive_id: int
    partition: str
    state: str
    events: int | None
    starts_at: datetime
    ends_at: datetime
    verified_at: datetime | None
    files: int
    bytes: int


class PartitionSight(NamedTuple):
    """A partition of events; `events` is an estimate, negative while PostgreSQL has none."""

    name: str
    bounds: str
    events: int
    bytes: int


class EventArchives:
    """Reads and writes the manifest."""

    async def list_due(self, connection: "Connection[Any]", ends_by: datetime, now: datetime) -> list[PartitionRange]:
        """Return partitions whose range was over at `ends_by` and of which nothing is needed in the table any more."""
        needed_from = await connection.fetchval(queries.load("event_archives/earliest_need.sql"))
        limit = ends_by if needed_from is None else min(ends_by, needed_from)
        # By range and not by name: what was restored may lie in partitions of the other kind.
        held = [
            PartitionRange(*row)
            for row in await connection.fetch(queries.load("event_archives/held_partitions.sql"), now)
        ]
        return [
            each
            for each in await EventLog().partitions(connection)
            if each.ends_at <= limit and not any(each.overlaps(other) for other in held)
        ]

    async def under_way(self, connection: "Connection[Any]") -> list[EventArchive]:
        """Return archives that have a step left to do, the oldest first."""
        rows = await connection.fetch(queries.load("event_archives/under_way.sql"))
        return [_archive(row) for row in rows]

    async def begin(self, connection: "Connection[Any]", partition: PartitionRange) -> int:
        """Write an archive down, and let every change of the partition be noticed from now on; return its number.

        Raises:
            asyncpg.LockNotAvailableError: somebody writes into the partition; nothing has changed.
        """
        await self.limit_lock_waits(connection)
        archive_id: int = await connection.fetchval(queries.load("event_archives/begin.sql"), *partition)
        statement = _filled("seal", archive_id=archive_id, partition=partition.name)
        await connection.execute(statement)
        return archive_id

    async def give_up(self, connection: "Connection[Any]", archive: EventArchive) -> bool:
        """Give up an archive whose events are still those of the table; return whether it was still to be given up."""
        await self.limit_lock_waits(connection)
        if not await self.move(connection, archive.archive_id, archive.state, "abandoned"):
            return False
        if await connection.fetchval(queries.load("event_archives/has_partition.sql"), archive.partition):
            statement = _filled("unseal", archive_id=archive.archive_id, partition=archive.partition)
            await connection.execute(statement)
        return True

    async def measure(
        self, connection: "Connection[Any]", table: str
    ) -> tuple[Measure, datetime | None, datetime | None]:
        """Return what a table of events comes to, and its first and last `received_at`."""
        statement = _filled("measure", partition=table)
        row = await connection.fetchrow(statement, timeout=LONG_SECONDS)
        if row is None:
            raise RuntimeError("PostgreSQL answered a count with nothing.")
        return Measure(row["events"], int(row["checksum"])), row["first_at"], row["last_at"]

    async def copy_out(
        self, connection: "Connection[Any]", table: str, write: Callable[[bytes], Coroutine[Any, Any, None]]
    ) -> None:
        """Write a table of events, as `parquet.write_files` takes it."""
        statement = _filled("export", partition=table)
        await connection.copy_from_query(statement, output=write, format="csv", force_quote=True, timeout=LONG_SECONDS)

    async def add_files(self, connection: "Connection[Any]", archive_id: int, files: Sequence[ArchiveFile]) -> None:
        """Write down files, before they are where they belong: what is given up later is found by it."""
        columns = [list(column) for column in zip(*files, strict=True)] or [[]] * len(ArchiveFile._fields)
        await connection.execute(queries.load("event_archives/add_files.sql"), archive_id, *columns)

    async def list_files(self, connection: "Connection[Any]", archive_id: int) -> list[tuple[int, ArchiveFile]]:
        """Return the files of an archive with their numbers."""
        rows = await connection.fetch(queries.load("event_archives/list_files.sql"), archive_id)
        return [
            (
                row["file_id"],
                ArchiveFile(
                    row["day"], row["event_type"], row["name"], row["events"], int(row["checksum"]), row["bytes"],
                    bytes(row["sha256"]),
                ),
            )
            for row in rows
        ]  # fmt: skip

    async def add_users_and_ids(self, connection: "Connection[Any]", archive: EventArchive) -> None:
        """Write down who and which ids are in an archive, from the table."""
        for name in ("add_users", "add_ids"):
            statement = _filled(name, partition=archive.partition)
            await connection.execute(statement, archive.archive_id, timeout=LONG_SECONDS)

    async def mark_verified(
        self,
        connection: "Connection[Any]",
        archive_id: int,
        measure: Measure,
        first_at: datetime | None,
        last_at: datetime | None,
    ) -> bool:
        """Write down that the files were read back and hold this; return whether the archive was still under way."""
        statement = queries.load("event_archives/mark_verified.sql")
        return await connection.fetchval(statement, archive_id, *measure, first_at, last_at) is not None

    async def detach(self, connection: "Connection[Any]", archive: EventArchive) -> bool:
        """Take a verified partition out of `events` and let its files speak for it; both, or neither.

        Needs the ledger alone, so that no batch is under way. Returns whether it was done: not when the partition has
        changed since it was exported, or somebody else has done it.

        Raises:
            asyncpg.LockNotAvailableError: somebody reads the partition; nothing has changed.
        """
        names = {"partition": archive.partition, "leaving": archive.leaving}
        await connection.execute(_filled("lock_for_detaching", **names))
        if await connection.fetchval(queries.load("event_archives/mark_detached.sql"), archive.archive_id) is None:
            return False
        await connection.execute(_filled("detach", **names))
        return True

    async def drop(self, connection: "Connection[Any]", archive: EventArchive) -> None:
        """Drop the table of a detached archive."""
        await connection.execute(_filled("drop", leaving=archive.leaving))
        await self.move(connection, archive.archive_id, "detached", "dropped")

    async def move(self, connection: "Connection[Any]", archive_id: int, before: str, after: str) -> bool:
        """Change a state; return whether it was the one before."""
        statement = queries.load("event_archives/mark_state.sql")
        return await connection.fetchval(statement, archive_id, before, after) is not None

    async def forget(self, connection: "Connection[Any]", archive_id: int) -> None:
        """Forget files, users and ids of an archive that does not speak for its events."""
        for name in ("delete_files", "delete_users", "delete_ids"):
            statement = queries.load(f"event_archives/{name}.sql")
            await connection.execute(statement, archive_id, timeout=LONG_SECONDS)

    async def has_work(self, connection: "Connection[Any]", ends_by: datetime, now: datetime) -> bool:
        """Return whether a round of archiving would do something."""
        if await connection.fetchval(queries.load("event_archives/has_work.sql")):
            return True
        return bool(await self.list_due(connection, ends_by, now))

    async def find(self, connection: "Connection[Any]", archive_id: int) -> EventArchive | None:
        """Return an archive."""
        row = await connection.fetchrow(queries.load("event_archives/find.sql"), archive_id)
        return None if row is None else _archive(row)

    async def files_of(self, connection: "Connection[Any]", archive_id: int) -> list[tuple[int, str]]:
        """Return numbers and names of an archive's files."""
        rows = await connection.fetch(queries.load("event_archives/files_of_archive.sql"), archive_id)
        return [(row["file_id"], row["name"]) for row in rows]

    async def create_restoring(self, connection: "Connection[Any]", archive: EventArchive) -> None:
        """Make an empty table for the events of an archive."""
        await connection.execute(_filled("create_restoring", **_range(archive)))

    async def list_restoring(self, connection: "Connection[Any]") -> list[str]:
        """Return the tables of restores that are under way, or that came to nothing."""
        return [row["name"] for row in await connection.fetch(queries.load("event_archives/list_restoring.sql"))]

    async def drop_restoring(self, connection: "Connection[Any]", table: str) -> None:
        """Drop the table of a restore that came to nothing: it holds what erasures do not reach."""
        await connection.execute(_filled("drop_restoring", table=table))

    async def index_restoring(self, connection: "Connection[Any]", archive: EventArchive) -> None:
        """Give the filled table the indexes of a partition."""
        statement = _filled("index_restoring", table=archive.restoring)
        await connection.execute(statement, timeout=LONG_SECONDS)

    async def make_partitions(self, connection: "Connection[Any]", archive: EventArchive) -> None:
        """Where there are partitions again for what came late, of this kind or of the other, make those it lacks."""
        if await self._has_partitions(connection, archive):
            days = await connection.fetch(_filled("days_restored", table=archive.restoring), timeout=LONG_SECONDS)
            for row in days:
                await EventLog().create_partition(connection, row["day"])

    async def merge(self, connection: "Connection[Any]", archive: EventArchive) -> bool:
        """Where there are such partitions, put the events of the filled table into them; return whether there are."""
        if not await self._has_partitions(connection, archive):
            return False
        await connection.execute(_filled("merge_restored", table=archive.restoring), timeout=LONG_SECONDS)
        return True

    async def attach(
        self, connection: "Connection[Any]", archive: EventArchive, until: datetime, *, is_merged: bool
    ) -> bool:
        """Let events that came back speak again, instead of the files; return whether nothing had changed.

        Needs the ledger alone.

        Raises:
            asyncpg.LockNotAvailableError: somebody makes a partition; nothing has changed.
        """
        statement = queries.load("event_archives/mark_restored.sql")
        if await connection.fetchval(statement, archive.archive_id, archive.checksum, until) is None:
            return False
        if not is_merged and not await self._has_partitions(connection, archive):
            await connection.execute(_filled("attach_restored", **_range(archive)))
            return True
        if not is_merged:
            # One came a moment ago.
            await self.make_partitions(connection, archive)
            await self.merge(connection, archive)
        await self.drop_restoring(connection, archive.restoring)
        return True

    async def _has_partitions(self, connection: "Connection[Any]", archive: EventArchive) -> bool:
        whole = PartitionRange(archive.partition, archive.starts_at, archive.ends_at)
        return any(each.overlaps(whole) for each in await EventLog().partitions(connection))

    async def users_to_rewrite(self, connection: "Connection[Any]") -> list[tuple[Erasure, int]]:
        """Return erasures under way, each with an archive that names the player from before the request."""
        rows = await connection.fetch(queries.load("event_archives/users_to_rewrite.sql"))
        return [(Erasure(*tuple(row)[:4]), row["archive_id"]) for row in rows]

    async def replace_file(
        self, connection: "Connection[Any]", file_id: int, old: ArchiveFile, new: ArchiveFile
    ) -> None:
        """Let a file that was written anew stand for the old one, whose name is to go."""
        statement = queries.load("event_archives/replace_file.sql")
        found = await connection.fetchval(
            statement, file_id, old.name, new.name, new.checksum, new.size_bytes, new.sha256
        )  # fmt: skip
        if found is not None:
            await self.mark_for_deletion(connection, old.name)
            await self.mark_deleted(connection, new.name)

    async def rename_user(
        self, connection: "Connection[Any]", archive_id: int, erasure: Erasure, later: int, later_from: datetime | None
    ) -> None:
        """Give an archive's events of a player to the pseudonym, but for `later` ones, the first at `later_from`."""
        _, user_id, pseudonym, moment = erasure
        statement = queries.load("event_archives/rename_user.sql")
        await connection.execute(statement, archive_id, user_id, pseudonym, later, later_from, moment)

    async def sum_files(self, connection: "Connection[Any]", archive_id: int) -> EventArchive:
        """Make the checksum of an archive that of its files, and return it."""
        return _archive(await connection.fetchrow(queries.load("event_archives/sum_files.sql"), archive_id))

    async def mark_for_deletion(self, connection: "Connection[Any]", name: str) -> None:
        """Write down a file that is to go, unless an archive has it by then."""
        await connection.execute(queries.load("event_archives/mark_for_deletion.sql"), name)

    async def to_delete(self, connection: "Connection[Any]") -> list[str]:
        """Return the names of files that are to go."""
        return [row[0] for row in await connection.fetch(queries.load("event_archives/to_delete.sql"))]

    async def mark_deleted(self, connection: "Connection[Any]", name: str) -> None:
        """Forget the name of a file."""
        await connection.execute(queries.load("event_archives/mark_deleted.sql"), name)

    async def limit_lock_waits(self, connection: "Connection[Any]") -> None:
        """Let no statement of this transaction wait long for a lock."""
        statement = queries.load("event_archives/limit_lock_waits.sql")
        await connection.execute(statement, f"{LOCK_WAIT_MILLISECONDS}ms")

    async def list_all(self, connection: "Connection[Any]") -> list[dict[str, Any]]:
        """Return every archive that was not given up, for people."""
        return [dict(row) for row in await connection.fetch(queries.load("event_archives/list.sql"))]

    async def list_newest(self, connection: "Connection[Any]", count_max: int) -> list[ArchiveSight]:
        """Return what people want to know of archives, the newest first."""
        rows = await connection.fetch(queries.load("event_archives/list_newest.sql"), count_max)
        return [ArchiveSight(*row) for row in rows]

    async def partition_sizes(self, connection: "Connection[Any]", count_max: int) -> list[PartitionSight]:
        """Return how large the partitions of events are, the newest first."""
        rows = await connection.fetch(queries.load("events/partition_sizes.sql"), count_max)
        return [PartitionSight(row["name"], row["bounds"], row["events"], row["bytes"]) for row in rows]

    async def archived_users(self, connection: "Connection[Any]", user_ids: Collection[str]) -> set[str]:
        """Return which of these users have archived events."""
        statement = queries.load("event_archives/archived_of_users.sql")
        return {row[0] for row in await connection.fetch(statement, list(user_ids))}


@contextmanager
def export_file(path: Path) -> Iterator[Callable[[bytes], Coroutine[Any, Any, None]]]:
    """Lend what writes a file of an export. The connection that the rows come from is lent within.

    Raises:
        UnavailableError: the file cannot be written. Who reads rows meanwhile takes that for the connection's trouble.
    """
    failed: OSError | None = None

    async def write(rows: bytes) -> None:
        nonlocal failed
        try:
            await asyncio.to_thread(file.write, rows)
        except OSError as error:
            failed = error
            raise

    try:
        with path.open("wb") as file:
            yield write
    except (OSError, UnavailableError) as error:
        reason = failed or error
        if not isinstance(reason, OSError):
            raise
        raise UnavailableError(f"{path} cannot be written: {reason} (TMPDIR says where such files go).") from error


def _filled(name: str, **values: object) -> str:
    """Return a statement with names and moments put in, which cannot be parameters; made by code, and looked at."""
    for value in values.values():
        if not _FIT.fullmatch(str(value)):
            raise ValueError(f"{value!r} is no name of a table, number or moment.")
    return queries.load(f"event_archives/{name}.sql").format(**values)


def _range(archive: EventArchive) -> dict[str, str]:
    return {
        "table": archive.restoring,
        "partition": archive.partition,
        "from_": archive.starts_at.isoformat(),
        "to": archive.ends_at.isoformat(),
    }


def _archive(row: Any) -> EventArchive:
    checksum = row["checksum"]
    return EventArchive(
        row["archive_id"], row["partition"], row["starts_at"], row["ends_at"], row["state"], row["is_stale"],
        row["events"], None if checksum is None else int(checksum),
    )  # fmt: skip
