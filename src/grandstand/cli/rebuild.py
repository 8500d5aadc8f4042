"""`grandstand rebuild`: rank indexes made anew from the entries."""

from typing import TYPE_CHECKING, Annotated

import typer

from grandstand.cli.engines import DataDir, load_for_engines, run_or_refuse

if TYPE_CHECKING:
    from grandstand.operations.rebuild_boards import Rebuilt


def rebuild(
    boards: Annotated[
        list[str] | None,
        typer.Argument(metavar="[BOARD]...", help="Keys of leaderboards; `tournament:ID` is that of a tournament."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The indexes of all leaderboards.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Make rank indexes anew from the entries.

    Seldom needed: what Valkey loses is rebuilt by itself. Here the index is thrown away before, as after a PostgreSQL
    that went back in time. One ranking after the other; scores go on coming in, and meanwhile the ranking is read from
    PostgreSQL. Works on the engines themselves: GRANDSTAND_DATABASE_URL and GRANDSTAND_VALKEY_URL, or those of a
    running `grandstand up` with --data-dir. Entries themselves are made anew by `grandstand replay`.

    Exit codes: 0 done, 1 no such board, 2 wrong usage or setting, 4 PostgreSQL or Valkey out of reach, 130 Ctrl-C.
    """
    from grandstand.settings import SettingsError

    if bool(boards) == everything:
        raise SettingsError("Name leaderboards, or all of them with --all.")
    settings = load_for_engines(data_dir, "rebuild")
    from rich.console import Console

    from grandstand import bootstrap

    console = Console(stderr=True, markup=False, highlight=False)
    with console.status("Rebuilding") as status:

        def show(done: "Rebuilt") -> None:
            status.update(
                f"Rebuilding: {done.rankings:,} of {done.rankings_total:,} rankings, {done.entries:,} entries"
            )

        done = run_or_refuse(bootstrap.rebuild_boards(settings, boards or None, show))
    typer.echo(f"{done.rankings:,} rankings with {done.entries:,} entries are rebuilt.")
