"""Parquet files of events, written and read by DuckDB. All calls block; use threads.

DuckDB is an extra and imported here only, when a file is touched: no other process pays for it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from grandstand.domain.errors import UnavailableError, first_line
from grandstand.storage import queries
from grandstand.storage.event_archives import ArchiveFile, Measure

COLUMNS = ("id", "received_at", "occurred_at", "processed_at", "event_type", "user_id", "payload")
MEMORY = "256MB"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNFIT = re.compile(r"[^A-Za-z0-9._-]")


@contextmanager
def open_duckdb(folder: Path) -> Iterator[Any]:
    """Lend an empty database that keeps to little memory and puts the rest into `folder`.

    Raises:
        UnavailableError: the extra `archive` is not installed, a file is damaged, or there is no room.
    """
    try:
        import duckdb
    except ImportError as error:
        raise UnavailableError("Archives need the extra: pip install 'grandstand[archive]'.") from error
    config: dict[str, Any] = {"memory_limit": MEMORY, "threads": "2", "temp_directory": str(folder)}
    config["autoinstall_known_extensions"] = "false"  # It would ask the network for what a file or query needs.
    try:
        with duckdb.connect(config=config) as database:
            yield database
    except duckdb.Error as error:
        raise UnavailableError(f"A file of archived events cannot be read or written: {first_line(error)}.") from error


def filled(name: str, **paths: Path | Sequence[Path]) -> str:
    """Return a statement with paths put in, which DuckDB takes as no parameters there; several as a list."""
    texts = {
        key: ", ".join(
            f"'{str(path).replace(chr(39), chr(39) * 2)}'" for path in ([value] if isinstance(value, Path) else value)
        )
        for key, value in paths.items()
    }
    return queries.load(f"parquet/{name}.sql").format(**texts)


def write_files(csv: Path, folder: Path, archive_id: int) -> list[tuple[Path, ArchiveFile]]:
    """Write an export of `event_archives/export.sql` as one file a day and event type; return where they are."""
    written: list[tuple[Path, ArchiveFile]] = []
    with open_duckdb(folder) as database:
        database.execute(filled("attach", path=folder / "export.duckdb"))
        database.execute(queries.load("parquet/load.sql"), [str(csv)])
        for day, event_type, events, checksum in database.execute(queries.load("parquet/groups.sql")).fetchall():
            number = len(written)
            path = folder / f"{number}.parquet"
            database.execute(filled("write_group", path=path), [day, event_type])
            kind = _UNFIT.sub("_", event_type)[:80]
            name = f"day={day}/event_type={kind}/{archive_id}-{number}.parquet"
            written.append((path, describe(path, day, event_type, name, Measure(events, int(checksum)))))
    return written


def describe(path: Path, day: Any, event_type: str, name: str, measure: Measure) -> ArchiveFile:
    """Return what the manifest says of a file."""
    return ArchiveFile(day, event_type, name, *measure, path.stat().st_size, sha256_of(path))


def sha256_of(path: Path) -> bytes:
    """Return the hash of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def measure_file(path: Path) -> Measure:
    """Read a whole file and return what it comes to; the sum is that of `event_archives/measure.sql`."""
    with open_duckdb(path.parent) as database:
        events, checksum = database.execute(queries.load("parquet/measure.sql"), [str(path)]).fetchone()
    return Measure(events, int(checksum))


def rewrite_user(path: Path, target: Path, user_id: str, pseudonym: str, until: datetime) -> Measure:
    """Write a file anew with a user's events until a moment given to a pseudonym and emptied."""
    moment = (until - _EPOCH) // timedelta(microseconds=1)
    with open_duckdb(path.parent) as database:
        statement = filled("rewrite_user", target=target)
        database.execute(statement, [user_id, moment, pseudonym, user_id, moment, str(path)])
    return measure_file(target)


def read_rows(path: Path, *, user_ids: Sequence[str] | None, chunk_events: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the events of a file, of some users or of all, with the columns of the table in PostgreSQL."""
    with open_duckdb(path.parent) as database:
        users = None if user_ids is None else list(user_ids)
        cursor = database.execute(queries.load("parquet/read.sql"), [str(path), users, users])
        while rows := cursor.fetchmany(chunk_events):
            yield [_row(row) for row in rows]


def _row(values: Sequence[Any]) -> dict[str, Any]:
    row = dict(zip(COLUMNS, values, strict=True))
    for name in ("received_at", "occurred_at", "processed_at"):
        row[name] = _EPOCH + timedelta(microseconds=row[name])
    row["id"] = row["id"] if isinstance(row["id"], UUID) else UUID(row["id"])
    return row
