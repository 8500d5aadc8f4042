"""`grandstand version` and `grandstand settings`: what this is and how it can be set."""

from typing import Annotated

import typer


def version() -> None:
    """Print the version."""
    from grandstand import __version__

    typer.echo(__version__)


def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table, as README has it.")] = False,
) -> None:
    """Print every setting, its default and meaning."""
    from grandstand.settings import ENV_PREFIX, Settings, settings_table

    if markdown:
        typer.echo(settings_table())
        return
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, ()) else f" [default: {field.default}]"
        typer.echo(f"{ENV_PREFIX}{name.upper()}{default}\n    {field.description}")
