"""`grandstand archive …`: events that left PostgreSQL, on the engines and files of a deployment."""

import asyncio
from collections.abc import Coroutine
from math import isfinite
from typing import Annotated, Any, TypeVar

import typer

from grandstand.cli.connecting import AsJson
from grandstand.cli.engines import REFUSED, DataDir, load_for_engines
from grandstand.cli.showing import show_json, show_table

_T = TypeVar("_T")
_COLUMNS = ("archive_id", "partition", "state", "events", "files", "bytes", "first_received_at", "last_received_at")

app = typer.Typer(
    help="List, restore and ask archived events (GRANDSTAND_ARCHIVE_URL), archive what is due, take an archive over.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_all(data_dir: DataDir = None, json: AsJson = False) -> None:
    """List what was archived, the oldest first.

    Exit codes: 2 wrong setting, 4 PostgreSQL or Valkey out of reach.
    """
    from grandstand.bootstrap.archiving import list_archives

    rows = [_plain(row) for row in _run(list_archives(load_for_engines(data_dir, "archive")))]
    if json:
        show_json({"archives": rows})
        return
    show_table(_COLUMNS, rows)


@app.command("run")
def run(data_dir: DataDir = None) -> None:
    """Archive what is due, once. The scheduler does the same by itself.

    Exit codes: 1 files do not hold what was written, 2 wrong setting, 4 an engine or the archive out of reach, 5 the
    archive is not this database's, or not where it was.
    """
    from grandstand.bootstrap.archiving import archive_once

    done = _run(archive_once(load_for_engines(data_dir, "archive")))
    if not done.is_first:
        typer.echo("Another process archives right now.")
        return
    typer.echo(f"{done.partitions} partitions archived, {done.rewritten} files written anew.")


@app.command("restore")
def restore(
    archive_id: Annotated[int, typer.Argument(metavar="ID", help="The archive, as `list` has it.", show_default=False)],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it stays before it is archived anew.")] = 30,
    data_dir: DataDir = None,
) -> None:
    """Bring an archive back into PostgreSQL, for a while.

    Exit codes: 1 no such archive, or its files do not hold what was archived, 2 wrong setting, 4 an engine or the
    archive out of reach.
    """
    from grandstand.bootstrap.archiving import restore_archive

    events = _run(restore_archive(load_for_engines(data_dir, "archive"), archive_id, days))
    typer.echo(f"{events:,} events are back for {days} days.")


@app.command("adopt")
def adopt(
    without_files: Annotated[
        bool, typer.Option("--without-files", help="Even where the archived files are not: they are lost then.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Let this database go on with the archive, whoever's it was: after a restore, a move or a major upgrade.

    Nobody else may go on with it: another database that does is refused from then on.

    Exit codes: 1 another process archives, 2 wrong setting, 4 an engine or the archive out of reach, 5 the archived
    files are not there.
    """
    from grandstand.bootstrap.archiving import adopt_archive

    _run(adopt_archive(load_for_engines(data_dir, "archive"), without_files=without_files))
    typer.echo("The archive is this database's. Compare its files with `grandstand verify --all`.")


@app.command("query")
def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="A statement over the view `events`.", show_default=False)],
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Ask the archived events in DuckDB's SQL. It can read them and change nothing.

    Exit codes: 1 the statement is refused, 2 wrong setting, 4 an engine or the archive out of reach.
    """
    from grandstand.bootstrap.archiving import query_archive

    found = _run(query_archive(load_for_engines(data_dir, "archive"), sql))
    rows = [_plain(dict(zip(found.columns, row, strict=True))) for row in found.rows]
    if json:
        show_json(rows)
        return
    show_table(found.columns, rows)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    from grandstand.bootstrap.archiving import AnotherAtWorkError
    from grandstand.operations.archive_events import ArchiveDiffersError
    from grandstand.operations.own_archive import NOT_OWNED_EXIT_CODE
    from grandstand.operations.query_archive import QueryRefusedError
    from grandstand.operations.restore_archive import NotRestorableError
    from grandstand.storage.archive_tokens import ArchiveNotOwnedError

    try:
        return asyncio.run(work)
    except (AnotherAtWorkError, ArchiveDiffersError, NotRestorableError, QueryRefusedError) as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(REFUSED) from None
    except ArchiveNotOwnedError as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(NOT_OWNED_EXIT_CODE) from None


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them; it knows no infinity."""
    return {
        name: value if isinstance(value, int | None) or (isinstance(value, float) and isfinite(value)) else str(value)
        for name, value in row.items()
    }
