"""Asks the archive in SQL: DuckDB over the Parquet files, which it can read and nothing else."""

import asyncio
import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.parquet import filled, open_duckdb


class QueryRefusedError(Exception):
    """DuckDB does not take the statement; the message is its own."""


class QueryResult(NamedTuple):
    """Rows of values below the names of their columns."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


async def query(archived: ArchivedEvents, sql: str) -> QueryResult:
    """Run a statement over the view `events`; it ends when the caller is cancelled.

    Raises:
        QueryRefusedError: it is wrong, or wants something else than to read.
        UnavailableError: the files cannot be read here.
    """
    async with archived.copies() as (folder, paths):
        with open_duckdb(folder) as database:
            work = asyncio.ensure_future(asyncio.to_thread(_run, database, folder, paths, sql))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                database.interrupt()
                with contextlib.suppress(QueryRefusedError):
                    await work
                raise


def _run(database: Any, folder: Path, paths: list[Path], sql: str) -> QueryResult:
    import duckdb

    database.execute(filled("view" if paths else "empty_view", files=paths))
    # No other file, no network, and no way back.
    database.execute(filled("lock", folder=folder))
    try:
        found = database.execute(sql)
        columns = _distinct(each[0] for each in found.description or ())
        return QueryResult(columns, found.fetchall() if columns else [])
    except duckdb.Error as error:
        raise QueryRefusedError(str(error)) from error


def _distinct(names: Iterable[str]) -> list[str]:
    """Return names of which each is another one: rows are shown by the names of their columns."""
    found: dict[str, None] = {}
    for name in names:
        number, distinct = 1, name
        while distinct in found:
            number += 1
            distinct = f"{name}_{number}"
        found[distinct] = None
    return list(found)
