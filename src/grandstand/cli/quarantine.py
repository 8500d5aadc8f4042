"""`grandstand quarantine …`: events that boards of a running server found not plausible."""

from typing import TYPE_CHECKING, Annotated

import typer

from grandstand.cli.connecting import DEFAULT_URL, AsJson, ServerKey, Url, connect, stop
from grandstand.cli.showing import show_json, show_table

if TYPE_CHECKING:
    from grandstand.client.connection import Connection
    from grandstand.client.quarantine import QuarantineClient

_COLUMNS = ("id", "status", "reason", "leaderboard", "user_id", "score", "occurred_at", "event_id")

_Id = Annotated[str, typer.Argument(metavar="ID", help="The quarantined event.", show_default=False)]

app = typer.Typer(
    help="List events that are not plausible, and release or reject them.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_all(
    leaderboard: Annotated[str | None, typer.Option("--board", help="Only those of this leaderboard.")] = None,
    user_id: Annotated[str | None, typer.Option("--user", help="Only those of this player.")] = None,
    status: Annotated[str | None, typer.Option(help="held, released or rejected.")] = None,
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    json: AsJson = False,
) -> None:
    """List quarantined events, the newest first.

    Exit codes: 1 refused, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError

    filters = {"leaderboard": leaderboard, "user_id": user_id, "status": status}
    try:
        with connect(url, server_key) as connection:
            found = list(_client(connection).events(filters))
    except StoppedError as error:
        stop(error)
    if json:
        show_json({"quarantine": found})
        return
    show_table(_COLUMNS, found)


@app.command("release")
def release(quarantine_id: _Id, url: Url = DEFAULT_URL, server_key: ServerKey = "", json: AsJson = False) -> None:
    """Let one count from now on.

    Exit codes: 1 no such event or rejected already, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError

    try:
        with connect(url, server_key) as connection:
            found = _client(connection).release(quarantine_id)
    except StoppedError as error:
        stop(error)
    if json:
        show_json(found)
        return
    reason = found.get("unranked_reason")
    typer.echo(f"{found.get('id')}: released." if reason is None else f"{found.get('id')}: released, but {reason}.")


@app.command("reject")
def reject(quarantine_id: _Id, url: Url = DEFAULT_URL, server_key: ServerKey = "", json: AsJson = False) -> None:
    """Say that one never counts.

    Exit codes: 1 no such event or released already, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError

    try:
        with connect(url, server_key) as connection:
            found = _client(connection).reject(quarantine_id)
    except StoppedError as error:
        stop(error)
    if json:
        show_json(found)
        return
    typer.echo(f"{found.get('id')}: rejected.")


def _client(connection: "Connection") -> "QuarantineClient":
    from grandstand.client.quarantine import QuarantineClient

    return QuarantineClient(connection)
