"""`grandstand lab compare`."""

from pathlib import Path
from typing import Annotated

import typer

from grandstand.cli.lab_options import NOT_RUN

REGRESS = 1


def compare(
    before: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Report of `lab run` (JSON).")],
    after: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Another one of the same load.")],
) -> None:
    """Show what differs between two runs, in which direction, and whether beyond noise.

    Exit codes: 0 nothing became worse beyond noise, 1 something did, 2 they cannot be compared.
    """
    from grandstand.lab.compare import compare as compared
    from grandstand.lab.compare import is_regress, read_report
    from grandstand.lab.errors import LabError

    try:
        reports = [read_report(path.read_bytes()) for path in (before, after)]
        differences = compared(*reports)
    except (LabError, OSError) as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(NOT_RUN) from None
    if reports[0].machine != reports[1].machine:
        typer.echo("These are of different machines.")
    typer.echo(f"{'':<24}{'before':>14}{'after':>14}{'noise':>12}")
    for each in differences:
        word = each.direction if each.is_beyond_noise else "within noise" if each.direction != "same" else "same"
        typer.echo(f"{each.name:<24}{each.before:>14,.2f}{each.after:>14,.2f}{each.noise:>12,.2f}  {word}")
    if is_regress(differences):
        raise typer.Exit(REGRESS)
