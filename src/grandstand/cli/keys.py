"""`grandstand keys …`: the keys of a deployment, on its database."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grandstand.cli.connecting import AsJson
from grandstand.cli.engines import DataDir, load_for_engines, run_or_refuse
from grandstand.cli.showing import show_json, show_table

if TYPE_CHECKING:
    from grandstand.operations.manage_keys import KeyCreated, KeyManager, KeyView

_ACTOR = "cli"
_COLUMNS = ("id", "kind", "name", "status", "scopes", "created_at", "expires_at", "last_used_at")

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The id of a key.", show_default=False)]

app = typer.Typer(
    help="Make, list, rotate and revoke keys, on the engines of a deployment.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_all(data_dir: DataDir = None, json: AsJson = False) -> None:
    """List all keys, also those out of force; never the keys themselves.

    Exit codes: 2 wrong setting, 4 PostgreSQL or Valkey out of reach.
    """
    rows = _plain(_run(data_dir, _list))
    if json:
        show_json({"keys": rows})
        return
    show_table(_COLUMNS, rows)


@app.command("create")
def create(
    kind: Annotated[str, typer.Argument(metavar="admin|server|client", help="What it opens.", show_default=False)],
    name: Annotated[str, typer.Option(help="A note for people.", show_default=False)],
    scopes: Annotated[
        list[str] | None, typer.Option("--scope", help="What a server key may do; again for more. [default: all]")
    ] = None,
    expires_at: Annotated[datetime | None, typer.Option(help="When it ends, in UTC. [default: never]")] = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make a key and print it, this once.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    import msgspec

    body = {
        "kind": kind,
        "name": name,
        "scopes": scopes or None,
        "expires_at": None if expires_at is None else f"{expires_at.isoformat()}Z",
    }
    _show_made(_run(data_dir, lambda keys: keys.create(msgspec.json.encode(body), actor=_ACTOR)), as_json=json)


@app.command("rotate")
def rotate(
    key_id: KeyId,
    overlap_seconds: Annotated[int, typer.Option(help="How long the old key stays good.")] = 86_400,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make a key like another and print it; the old one ends after the overlap.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    _show_made(_run(data_dir, lambda keys: keys.replace(key_id, overlap_seconds, actor=_ACTOR)), as_json=json)


@app.command("revoke")
def revoke(key_id: KeyId, data_dir: DataDir = None) -> None:
    """Put a key out of force for good, on every process within seconds.

    Exit codes: 1 refused, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach.
    """
    _run(data_dir, lambda keys: keys.revoke(key_id))
    typer.echo(f"{key_id}: revoked.")


def _run(data_dir: Path | None, action: "Callable[[KeyManager], Awaitable[Any]]") -> Any:
    from grandstand import bootstrap

    return run_or_refuse(bootstrap.with_keys(load_for_engines(data_dir, "keys"), action))


async def _list(keys: "KeyManager") -> "list[KeyView]":
    found = await keys.list()
    rows = found.keys
    while found.next_cursor is not None:
        found = await keys.list(cursor=found.next_cursor)
        rows += found.keys
    return rows


def _show_made(made: "KeyCreated", *, as_json: bool) -> None:
    if as_json:
        show_json(_plain(made))
        return
    # The key alone on standard output, so that it can be piped into a secret store.
    typer.echo(f"{made.kind} key {made.id} ({made.name}); it is shown this once:", err=True)
    typer.echo(made.key)


def _plain(value: Any) -> Any:
    import msgspec

    return msgspec.to_builtins(value)
