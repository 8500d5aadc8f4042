"""`grandstand rollups`: the counts of events by hour and day."""

import typer

from grandstand.cli.engines import DataDir, load_for_engines, run_or_refuse

app = typer.Typer(help="Counts of events and users by hour and day.", no_args_is_help=True)


@app.callback()
def rollups() -> None:
    """Keep the counts of events and users by hour and day."""


@app.command()
def rebuild(
    data_dir: DataDir = None,
) -> None:
    """Count all stored events anew.

    Events go on being stored and ranked meanwhile; until it is done the old counts are served. Works on the engines
    themselves: GRANDSTAND_DATABASE_URL and GRANDSTAND_VALKEY_URL, or those of a running `grandstand up` with
    --data-dir.

    Exit codes: 0 done, 1 counted events are no longer stored, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of
    reach, 130 Ctrl-C.
    """
    from grandstand import bootstrap

    run_or_refuse(bootstrap.rebuild_rollups(load_for_engines(data_dir, "rollups")))
    typer.echo("The rollups are rebuilt.")
