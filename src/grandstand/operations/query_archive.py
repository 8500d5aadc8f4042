"""Asks the archive in SQL: DuckDB over the Parquet files, which it can read and nothing else."""

import asyncio
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
    """Run a statement over the view `events`.

    Raises:
        QueryRefusedError: it is wrong, or wants something else than to read.
        UnavailableError: the files cannot be read here.
    """
    async with archived.copies() as (folder, paths):
        return await asyncio.to_thread(_run, folder, paths, sql)


def _run(folder: Path, paths: list[Path], sql: str) -> QueryResult:
    import duckdb

    with open_duckdb(folder) as database:
        database.execute(filled("view" if paths else "empty_view", files=paths))
        # No other file, no network, and no way back.
        database.execute(filled("lock", folder=folder))
        try:
            found = database.execute(sql)
            columns = [each[0] for each in found.description or ()]
            return QueryResult(columns, found.fetchall() if columns else [])
        except duckdb.Error as error:
            raise QueryRefusedError(str(error)) from error
