"""`grandstand tournaments …`: tournaments of a running server."""

from typing import Annotated

import typer

from grandstand.cli.connecting import DEFAULT_URL, AsJson, FormatName, ServerKey, Url, connect, stop
from grandstand.cli.showing import show_json, show_object, show_table

_COLUMNS = ("id", "status", "occurrence", "starts_at", "ends_at", "players", "title")
_PRIZE_COLUMNS = ("rank", "user_id", "kind", "amount")

Id = Annotated[str, typer.Argument(metavar="ID", help="The tournament.", show_default=False)]
Occurrence = Annotated[
    int | None, typer.Option(min=1, help="Which run of a repeating one. [default: the running, next or last one]")
]

app = typer.Typer(
    help="List, create, cancel and settle tournaments.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_all(
    status: Annotated[str | None, typer.Option(help="scheduled, active, ended, settled or cancelled.")] = None,
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    json: AsJson = False,
) -> None:
    """List tournaments.

    Exit codes: 1 refused, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError
    from grandstand.client.tournaments import CupClient

    try:
        with connect(url, server_key) as connection:
            found = list(CupClient(connection).tournaments(status))
    except StoppedError as error:
        stop(error)
    if json:
        show_json({"tournaments": found})
        return
    show_table(_COLUMNS, found)


@app.command("show")
def show(
    tournament_id: Id,
    occurrence: Occurrence = None,
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    json: AsJson = False,
) -> None:
    """Show a tournament: its rules, and how it stands.

    Exit codes: 1 no such tournament, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError
    from grandstand.client.tournaments import CupClient

    try:
        with connect(url, server_key) as connection:
            found = CupClient(connection).tournament(tournament_id, occurrence)
    except StoppedError as error:
        stop(error)
    show_object(found, as_json=json)


@app.command("create")
def create(
    file: Annotated[str, typer.Argument(help="The definition (YAML, TOML, JSON); - for standard input.")],
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    format_name: FormatName = None,
    json: AsJson = False,
) -> None:
    """Create a tournament from a file that holds what `POST /api/tournaments` takes.

    Exit codes: 1 the server refused it, 2 wrong usage or file, 4 the server out of reach or the key refused.
    """
    from grandstand.client.board_files import read_document, read_format
    from grandstand.client.errors import StoppedError
    from grandstand.client.tournaments import CupClient

    try:
        definition = read_document(file, read_format(format_name))
        with connect(url, server_key) as connection:
            found = CupClient(connection).create(definition)
    except StoppedError as error:
        stop(error)
    show_object(found, as_json=json)


@app.command("cancel")
def cancel(tournament_id: Id, url: Url = DEFAULT_URL, server_key: ServerKey = "", json: AsJson = False) -> None:
    """Cancel a tournament before it is settled: nobody gets a prize.

    Exit codes: 1 no such tournament or settled already, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError
    from grandstand.client.tournaments import CupClient

    try:
        with connect(url, server_key) as connection:
            found = CupClient(connection).cancel(tournament_id)
    except StoppedError as error:
        stop(error)
    if json:
        show_json(found)
        return
    typer.echo(f"{tournament_id}: {found.get('status')}.")


@app.command("settle")
def settle(
    tournament_id: Id,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show who would get what, and change nothing.")] = False,
    occurrence: Occurrence = None,
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    json: AsJson = False,
) -> None:
    """End the running occurrence now; it is settled when the grace for late events is over.

    Exit codes: 1 no such tournament or none is running, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError, UsageError
    from grandstand.client.tournaments import CupClient

    try:
        if occurrence is not None and not dry_run:
            raise UsageError("--occurrence goes with --dry-run: only what runs can be ended.")
        with connect(url, server_key) as connection:
            client = CupClient(connection)
            found = client.preview(tournament_id, occurrence) if dry_run else client.end(tournament_id)
    except StoppedError as error:
        stop(error)
    if json:
        show_json(found)
        return
    if not dry_run:
        typer.echo(f"{tournament_id}: {found.get('status')} at {found.get('ends_at')}; settled when the grace is over.")
        return
    prizes = found.get("prizes", [])
    show_table(_PRIZE_COLUMNS, prizes)
    if found.get("total_prizes", 0) > len(prizes):
        typer.echo(f"… and {found['total_prizes'] - len(prizes)} more.")
    amounts = ", ".join(f"{amount} {kind}" for kind, amount in sorted(found.get("total_amounts", {}).items()))
    typer.echo(
        f"Dry run, nothing is changed: {found.get('players')} players, {found.get('total_prizes')} prizes"
        f"{f' ({amounts})' if amounts else ''}."
    )
