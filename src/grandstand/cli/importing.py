"""`grandstand import`: events from a file into a running server."""

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from grandstand.importer.csv_mapping import CsvMapping

SOME_REFUSED = 1
CSV_SUFFIXES = (".csv", ".csv.gz", ".csv.zst")


def import_events(
    file: Annotated[
        str, typer.Argument(help="The file, plain, .gz or .zst; - for standard input.", show_default=False)
    ],
    url: Annotated[
        str, typer.Option(envvar="GRANDSTAND_URL", help="The server.", show_envvar=True)
    ] = "http://127.0.0.1:8080",
    server_key: Annotated[
        str,
        typer.Option(
            envvar="GRANDSTAND_SERVER_KEY",
            help="The server key. Prefer the variable: other users of this machine see command lines.",
            show_default=False,
        ),
    ] = "",
    csv: Annotated[
        bool,
        typer.Option("--csv", help="The file is CSV with a header (so it is with --map or --set, or by its name)."),
    ] = False,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Take a field (payload.score, say) from a CSV column."),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Give every event of a CSV file this value."),
    ] = None,
    text: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="FIELD", help="Keep the cells of this field as text, also those like 12."),
    ] = None,
    delimiter: Annotated[str, typer.Option(help="What stands between CSV cells; tab for tabulators.")] = ",",
    retry_seconds: Annotated[
        float, typer.Option(min=0, max=86_400, help="How long a server that is away or overloaded is asked again.")
    ] = 60.0,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin at the first line, also where an earlier run was stopped.")
    ] = False,
    state_dir: Annotated[
        Path | None,
        typer.Option(
            envvar="GRANDSTAND_STATE_DIR", help="Where the progress is kept. [default: the user's state folder]"
        ),
    ] = None,
) -> None:
    """Send the events of a file to a server.

    The file holds one JSON object a line, or is CSV. Events may be of any age, and each counts once: a line without an
    `id` gets one made from the file's content and the line's number, so the same file may be imported again, and the
    same command goes on where a stopped import left off.

    Exit codes: 0 everything taken, 1 some lines refused, 2 wrong usage or file, 4 the server out of reach or the key
    refused, 130 Ctrl-C.
    """
    from grandstand.importer.display import open_display
    from grandstand.importer.errors import ImportStoppedError, SourceError
    from grandstand.importer.run import Import, ImportOptions
    from grandstand.importer.sender import Sender, check_url
    from grandstand.importer.source import Source

    is_csv = csv or bool(mapping or constant or text) or file.lower().endswith(CSV_SUFFIXES)
    _end_like_interrupted()
    this: Import | None = None
    try:
        check_url(url)
        if not server_key:
            raise SourceError("The server key is missing: set GRANDSTAND_SERVER_KEY.")
        options = ImportOptions(
            mapping=_mapping(mapping, constant, text, delimiter) if is_csv else None,
            restart=restart,
            state_dir=state_dir,
        )
        with (
            open_display() as display,
            Source(file) as source,
            Sender(url, server_key, retry_seconds, display.say) as sender,
        ):
            this = Import(source, sender, display, options)
            this.run()
    except ImportStoppedError as error:
        _say_stopped(this, str(error))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        _say_stopped(this, "The import was interrupted.")
        raise typer.Exit(128 + signal.SIGINT) from None
    typer.echo(this.summary)
    raise typer.Exit(SOME_REFUSED if this.report.refused else 0)


def _mapping(
    maps: list[str] | None, constants: list[str] | None, texts: list[str] | None, delimiter: str
) -> "CsvMapping":
    from grandstand.importer.csv_mapping import CsvMapping

    return CsvMapping(maps or [], constants or [], texts or [], delimiter)


def _end_like_interrupted() -> None:
    """Let SIGTERM and SIGHUP end an import as Ctrl-C does: with its progress kept."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), interrupt)


def _say_stopped(this: object, reason: str) -> None:
    from grandstand.importer.run import Import

    typer.echo(f"grandstand: {reason}", err=True)
    if isinstance(this, Import) and this.line:
        typer.echo(this.summary)
        typer.echo(f"The import stopped after line {this.line:,}; the same command goes on from there.", err=True)
