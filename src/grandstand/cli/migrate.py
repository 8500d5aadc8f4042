"""`grandstand migrate`: the schema, and what a first start needs."""

import asyncio
import json as json_module
from pathlib import Path
from typing import Annotated

import typer


def migrate(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Find the engines of a running `grandstand up` by its data folder."),
    ] = None,
    patience_seconds: Annotated[
        float, typer.Option(min=0.0, help="How long each migration waits for locks that others hold, 2 s at a time.")
    ] = 60.0,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    lifeline: Annotated[
        bool, typer.Option("--lifeline", help="Begin at the first line of standard input.", hidden=True)
    ] = False,
) -> None:
    """Bring the database's schema up to date.

    Also makes what a first start needs: the board `global` and one key of each kind. Runs against
    GRANDSTAND_DATABASE_URL and GRANDSTAND_VALKEY_URL; running it again changes nothing. New keys are printed once:
    only their hashes are stored. GRANDSTAND_ADMIN_KEY, GRANDSTAND_SERVER_KEY and GRANDSTAND_CLIENT_KEY set them.

    Exit codes: 2 a wrong setting, 4 PostgreSQL or Valkey out of reach, or somebody held a lock for too long.
    """
    from grandstand.cli.engines import load_for_engines

    settings = load_for_engines(data_dir, "migrate")
    from grandstand import bootstrap

    if lifeline:
        from grandstand.cli.lifeline import wait_for_go

        wait_for_go()
    bootstrap.migrate(settings, patience_seconds=patience_seconds)
    created = asyncio.run(bootstrap.ensure_first_keys(settings))
    if json:
        typer.echo(json_module.dumps({"schema": settings.database_schema, "created_keys": created}))
        return
    typer.echo(f"The schema {settings.database_schema} is up to date.")
    for kind, key in created.items():
        if getattr(settings, f"{kind}_key", None) is None:
            typer.echo(f"New {kind} key, shown this once: {key}")
