"""Where a command that works on the engines themselves finds them, and how it ends when it is refused."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

REFUSED = 1
_T = TypeVar("_T")

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Find the engines of a running `grandstand up` by its data folder.")
]


def load_for_engines(data_dir: Path | None, command: str) -> Any:
    """Return the settings of a command that works on the engines, and begin its log.

    Raises:
        SettingsError: as for `with_engines`, or a setting is wrong.
    """
    from grandstand.settings import load_settings
    from grandstand.telemetry import logs

    settings = with_engines(load_settings(), data_dir)
    logs.configure(settings.log_format, settings.log_level, command)
    return settings


def run_or_refuse(work: Coroutine[Any, Any, _T]) -> _T:
    """Run what a command is for; a refusal is one sentence, and ends the command with `REFUSED`."""
    from grandstand.domain.errors import GrandstandError

    try:
        return asyncio.run(work)
    except GrandstandError as error:
        typer.echo(f"grandstand: {error.detail}", err=True)
        raise typer.Exit(REFUSED) from None


def with_engines(settings: Any, data_dir: Path | None) -> Any:
    """Return settings that name both engines: those of the `grandstand up` that runs in `data_dir`, or as they are set.

    Raises:
        SettingsError: nothing runs in the folder, or an engine is not set.
    """
    from pydantic import SecretStr

    from grandstand.embedded.data_folder import is_in_use
    from grandstand.settings import SettingsError
    from grandstand.supervisor.state import read_state

    if data_dir is not None:
        state = read_state(data_dir) if is_in_use(data_dir) else None
        if state is None:
            raise SettingsError(f"No `grandstand up` runs in {data_dir} (--data-dir).")
        return settings.model_copy(
            update={
                "database_url": SecretStr(state.database_url),
                "database_schema": state.database_schema,
                "valkey_url": SecretStr(state.valkey_url),
                "valkey_prefix": state.valkey_prefix,
            }
        )
    for name in ("database_url", "valkey_url"):
        if getattr(settings, name) is None:
            raise SettingsError(
                f"Setting GRANDSTAND_{name.upper()} is missing: name engines of yours, or with --data-dir the data "
                "folder of a running `grandstand up`."
            )
    return settings
