"""`grandstand boards export` and `grandstand boards apply`: the definitions of leaderboards as a file."""

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grandstand.cli.connecting import DEFAULT_URL, FormatName, ServerKey, Url, connect, stop

if TYPE_CHECKING:
    from grandstand.client.board_files import Definitions
    from grandstand.client.boards import Change

SOME_REFUSED = 1
_SIGNS = {"created": "+", "changed": "~", "unchanged": "=", "deleted": "-", "kept": " "}

app = typer.Typer(
    help="Keep the definitions of leaderboards in a file.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("export")
def export(
    file: Annotated[str, typer.Argument(help="The file to write; - for standard output.", show_default=False)],
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    format_name: FormatName = None,
) -> None:
    """Write every definition of a server into a file.

    YAML, TOML or JSON, by the suffix of the file. What has its default is left out; `apply` reads the same back.

    Exit codes: 2 wrong usage or file, 4 the server out of reach or the key refused.
    """
    from grandstand.client.board_files import STANDARD_STREAM, format_of, read_format, write_definitions
    from grandstand.client.boards import BoardClient
    from grandstand.client.errors import StoppedError, UsageError

    try:
        form = format_of(file, read_format(format_name))
        with connect(url, server_key) as connection:
            definitions = BoardClient(connection).read()
        text = write_definitions(definitions, form)
        if file == STANDARD_STREAM:
            sys.stdout.write(text)
            return
        try:
            Path(file).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}.") from None
    except StoppedError as error:
        stop(error)
    typer.echo(f"{file}: {len(definitions)} leaderboards.", err=True)


@app.command("apply")
def apply(
    file: Annotated[str, typer.Argument(help="The file to read; - for standard input.", show_default=False)],
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    format_name: FormatName = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete leaderboards that the file does not have (never `global`).")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what differs and change nothing.")] = False,
) -> None:
    """Bring the leaderboards of a server in line with a file, and show what differs.

    Asks nothing; applying a file again changes nothing. The whole file is checked before anything is changed. Rules
    that decide scores cannot change under entries: such a board stays as it is, and the command that replays it is
    shown.

    Exit codes: 0 done, 1 the server refused some of the changes, 2 wrong usage or file, 4 the server out of reach or
    the key refused.
    """
    from grandstand.client.board_files import read_definitions, read_format
    from grandstand.client.boards import BoardClient, compare
    from grandstand.client.errors import StoppedError

    refused: set[str] = set()
    try:
        wanted = read_definitions(file, read_format(format_name))
        with connect(url, server_key) as connection:
            client = BoardClient(connection)
            changes = list(compare(client.read(), wanted, prune=prune))
            for change in changes:
                _show(change)
                if not dry_run and not _make(client, change, wanted, file):
                    refused.add(change.key)
    except StoppedError as error:
        stop(error)
    typer.echo(_summary(changes, refused, dry_run=dry_run))
    raise typer.Exit(SOME_REFUSED if refused else 0)


def _make(client: Any, change: "Change", wanted: "Definitions", file: str) -> bool:
    """Make a change; say why and return False when the server does not want it."""
    from grandstand.client.boards import is_about_entries, refusal_text

    if change.kind in ("unchanged", "kept"):
        return True
    refusal = client.apply(change, wanted.get(change.key))
    if refusal is None:
        return True
    typer.echo(f"    refused: {refusal_text(refusal)}")
    if is_about_entries(refusal):
        rule = "FILE" if file == "-" else shlex.quote(file)
        typer.echo(f"    to change it with its entries: grandstand replay {change.key} --rule {rule}")
    return False


def _show(change: "Change") -> None:
    text: str = change.kind
    if change.kind == "kept":
        text = "not in the file; stays" if change.key == "global" else "not in the file; stays (--prune deletes it)"
    typer.echo(f"{_SIGNS[change.kind]} {change.key}: {text}")
    for name, before, after in change.fields:
        typer.echo(f"    {name}: {_value(before)} → {_value(after)}")


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _summary(changes: "list[Change]", refused: set[str], *, dry_run: bool) -> str:
    done = [change.kind for change in changes if change.key not in refused]
    parts = [f"{done.count(kind)} {kind}" for kind in _SIGNS if kind in done and kind != "kept"]
    parts += [f"{len(refused)} refused"] if refused else []
    text = ", ".join(parts) or "nothing to do"
    return f"Dry run, nothing is changed: {text}." if dry_run else f"{text}."
