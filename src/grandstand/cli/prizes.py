"""`grandstand prizes …`: prizes of a running server."""

from typing import Annotated

import typer

from grandstand.cli.connecting import DEFAULT_URL, AsJson, ServerKey, Url, connect, stop
from grandstand.cli.showing import show_json, show_table

_COLUMNS = ("id", "user_id", "tournament_id", "occurrence", "rank", "kind", "amount", "status", "expires_at")

app = typer.Typer(help="List and void prizes.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.command("list")
def list_all(
    user_id: Annotated[str | None, typer.Option("--user", help="Only those of this player.")] = None,
    status: Annotated[str | None, typer.Option(help="pending, claimed, expired or voided.")] = None,
    tournament_id: Annotated[str | None, typer.Option("--tournament", help="Only those of this tournament.")] = None,
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    json: AsJson = False,
) -> None:
    """List prizes in the order in which they were awarded.

    Exit codes: 1 refused, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError
    from grandstand.client.tournaments import CupClient

    filters = {"user_id": user_id, "status": status, "tournament_id": tournament_id}
    try:
        with connect(url, server_key) as connection:
            found = list(CupClient(connection).prizes(filters))
    except StoppedError as error:
        stop(error)
    if json:
        show_json({"prizes": found})
        return
    show_table(_COLUMNS, found)


@app.command("void")
def void(
    prize_id: Annotated[str, typer.Argument(metavar="ID", help="The prize.", show_default=False)],
    reason: Annotated[str | None, typer.Option(help="Why; kept in the prize's trace.")] = None,
    url: Url = DEFAULT_URL,
    server_key: ServerKey = "",
    json: AsJson = False,
) -> None:
    """Void a prize that is not claimed.

    Exit codes: 1 no such prize or not pending, 2 wrong usage, 4 the server out of reach or the key refused.
    """
    from grandstand.client.errors import StoppedError
    from grandstand.client.tournaments import CupClient

    try:
        with connect(url, server_key) as connection:
            found = CupClient(connection).void(prize_id, reason)
    except StoppedError as error:
        stop(error)
    if json:
        show_json(found)
        return
    typer.echo(f"{found.get('id')}: voided ({found.get('amount')} {found.get('kind')} of {found.get('user_id')}).")
