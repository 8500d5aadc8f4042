"""The command `grandstand`. A command is a function in a module of its own, and imports what it needs when it runs."""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from grandstand.cli import (
    archive,
    boards,
    dead_letters,
    keys,
    lab,
    operators,
    prizes,
    quarantine,
    rollups,
    tournaments,
)
from grandstand.cli.backup import backup, restore
from grandstand.cli.describe import settings, version
from grandstand.cli.doctor import doctor
from grandstand.cli.importing import import_events
from grandstand.cli.migrate import migrate
from grandstand.cli.rebuild import rebuild
from grandstand.cli.replay import replay
from grandstand.cli.serve import serve
from grandstand.cli.up import up
from grandstand.cli.verify import verify

# Name on the command line, and the function that runs; --help lists them in this order.
COMMANDS: dict[str, Callable[..., None]] = {
    "up": up,
    "serve": serve,
    "migrate": migrate,
    "import": import_events,
    "replay": replay,
    "verify": verify,
    "rebuild": rebuild,
    "backup": backup,
    "restore": restore,
    "doctor": doctor,
    "settings": settings,
    "version": version,
}

app = typer.Typer(
    name="grandstand",
    help="Grandstand, a self-hosted game backend: gameplay events in, competition out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take what goes before a command."""


for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(boards.app, name="boards")
app.add_typer(tournaments.app, name="tournaments")
app.add_typer(prizes.app, name="prizes")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(rollups.app, name="rollups")
app.add_typer(archive.app, name="archive")
app.add_typer(keys.app, name="keys")
app.add_typer(lab.app, name="lab")
app.add_typer(operators.app, name="operators")


def main() -> None:
    """Run the command; an expected failure is one sentence and an exit code (see cli/exits.py)."""
    try:
        app()
    except KeyboardInterrupt:
        from grandstand.cli.exits import INTERRUPTED

        sys.exit(INTERRUPTED)
    except Exception as error:
        from grandstand.cli.exits import expected_exit

        expected = expected_exit(error)
        if expected is None:
            raise
        code, sentence = expected
        if sentence:
            typer.echo(f"grandstand: {sentence}", err=True)
        sys.exit(code)
