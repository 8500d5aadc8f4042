"""`grandstand dead-letters …`: events of a running server that could not be processed."""

from typing import TYPE_CHECKING, Annotated

import typer

from grandstand.cli.connecting import DEFAULT_URL, AdminKey, AsJson, Url, connect_as_admin, stop
from grandstand.cli.showing import show_json, show_object, show_table

if TYPE_CHECKING:
    from grandstand.client.connection import Connection
    from grandstand.client.dead_letters import DeadLetterClient

_COLUMNS = ("id", "status", "event_type", "user_id", "event_id", "error", "attempts", "last_failed_at")

_Id = Annotated[str, typer.Argument(metavar="ID", help="The dead letter.", show_default=False)]
_EventType = Annotated[str | None, typer.Option("--type", help="Only events of this type.")]
_User = Annotated[str | None, typer.Option("--user", help="Only events of this player.")]
_Error = Annotated[str | None, typer.Option("--error", help="Only those that failed with this class of error.")]

app = typer.Typer(
    help="List, replay and delete events that could not be processed.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_all(
    event_type: _EventType = None,
    user_id: _User = None,
    error: _Error = None,
    status: Annotated[str | None, typer.Option(help="dead or replayed.")] = None,
    url: Url = DEFAULT_URL,
    admin_key: AdminKey = "",
    json: AsJson = False,
) -> None:
    """List dead letters, the newest first.

    Exit codes: 1 refused, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError

    filters = {"event_type": event_type, "user_id": user_id, "error": error, "status": status}
    try:
        with connect_as_admin(url, admin_key) as connection:
            found = list(_client(connection).letters(filters))
    except StoppedError as problem:
        stop(problem)
    if json:
        show_json({"dead_letters": found})
        return
    show_table(_COLUMNS, found)


@app.command("show")
def show(letter_id: _Id, url: Url = DEFAULT_URL, admin_key: AdminKey = "", json: AsJson = False) -> None:
    """Show one with what came.

    Exit codes: 1 no such dead letter, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError

    try:
        with connect_as_admin(url, admin_key) as connection:
            found = _client(connection).letter(letter_id)
    except StoppedError as problem:
        stop(problem)
    show_object(found, as_json=json)


@app.command("replay")
def replay(
    letter_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The dead letter.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Replay all that the filters leave.")] = False,
    event_type: _EventType = None,
    user_id: _User = None,
    error: _Error = None,
    url: Url = DEFAULT_URL,
    admin_key: AdminKey = "",
    json: AsJson = False,
) -> None:
    """Send one event again, or with --all every one that the filters leave.

    Exit codes: 1 no such dead letter, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError, UsageError

    filters = {"event_type": event_type, "user_id": user_id, "error": error}
    try:
        if (letter_id is None) != every or (letter_id is not None and any(filters.values())):
            raise UsageError("Name one dead letter, or give --all with or without filters.")
        with connect_as_admin(url, admin_key) as connection:
            client = _client(connection)
            found = client.replay_some(filters) if letter_id is None else client.replay(letter_id)
    except StoppedError as problem:
        stop(problem)
    if json:
        show_json(found)
    elif letter_id is None:
        typer.echo(f"{found.get('replayed')} replayed, {found.get('remaining')} remain.")
    else:
        typer.echo(f"{found.get('id')}: replayed.")


@app.command("delete")
def delete(letter_id: _Id, url: Url = DEFAULT_URL, admin_key: AdminKey = "") -> None:
    """Delete one with its event, for good.

    Exit codes: 1 no such dead letter, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError

    try:
        with connect_as_admin(url, admin_key) as connection:
            _client(connection).delete(letter_id)
    except StoppedError as problem:
        stop(problem)
    typer.echo(f"{letter_id}: deleted.")


def _client(connection: "Connection") -> "DeadLetterClient":
    from grandstand.client.dead_letters import DeadLetterClient

    return DeadLetterClient(connection)
