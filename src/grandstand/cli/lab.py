"""`grandstand lab`: load a server as so many daily players would, and judge every reply."""

import typer

from grandstand.cli.lab_capacity import capacity
from grandstand.cli.lab_compare import compare
from grandstand.cli.lab_run import run

app = typer.Typer(
    no_args_is_help=True, help="Load a server as so many daily players would, and judge every reply.",
    rich_markup_mode=None,
)  # fmt: skip
app.command()(run)
app.command()(capacity)
app.command()(compare)
