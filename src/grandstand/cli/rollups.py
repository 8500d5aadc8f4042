"""`grandstand rollups`: the counts of events by hour and day."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

REFUSED = 1

app = typer.Typer(help="Counts of events and users by hour and day.", no_args_is_help=True)


@app.callback()
def rollups() -> None:
    """Keep the counts of events and users by hour and day."""


@app.command()
def rebuild(
    data_dir: Annotated[
        Path | None, typer.Option(help="Find the engines of a running `grandstand up` by its data folder.")
    ] = None,
) -> None:
    """Count all stored events anew.

    Events keep being accepted meanwhile, and wait in the stream until it is done. Works on the engines themselves:
    GRANDSTAND_DATABASE_URL and GRANDSTAND_VALKEY_URL, or those of a running `grandstand up` with --data-dir.

    Exit codes: 0 done, 1 counted events are no longer stored, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of
    reach, 130 Ctrl-C.
    """
    from grandstand import bootstrap
    from grandstand.cli.engines import with_engines
    from grandstand.domain.errors import GrandstandError
    from grandstand.settings import load_settings
    from grandstand.telemetry import logs

    settings = with_engines(load_settings(), data_dir)
    logs.configure(settings.log_format, settings.log_level, "rollups")
    try:
        asyncio.run(bootstrap.rebuild_rollups(settings))
    except GrandstandError as error:
        typer.echo(f"grandstand: {error.detail}", err=True)
        raise typer.Exit(REFUSED) from None
    typer.echo("The rollups are rebuilt.")
