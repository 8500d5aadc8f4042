"""`grandstand up`: everything on this machine, with one command."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

STOP_WITH_PARENT = "GRANDSTAND_STOP_WITH_PARENT"


def up(
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of the embedded engines (`grandstand up`). [default: grandstand-data]"),
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 0.0.0.0 for all. [default: 127.0.0.1]")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one. [default: 8080]")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes of `grandstand up`. [default: 2]")] = None,
    http_processes: Annotated[int | None, typer.Option(help="HTTP processes of `grandstand up`. [default: 1]")] = None,
) -> None:
    """Run everything on this machine.

    Engines, HTTP, workers and scheduler, in one process tree. Ctrl-C ends it, the data stays.

    PostgreSQL and Valkey run inside the data folder, unless GRANDSTAND_DATABASE_URL or GRANDSTAND_VALKEY_URL
    name servers of yours. Every other setting is an environment variable: see `grandstand settings`.

    Exit codes: 2 a wrong setting, 3 port or data folder not usable, 4 PostgreSQL or Valkey out of reach.
    """
    parent_pid = os.getppid()
    from grandstand.cli.misspelt import warn_of_unknown_settings
    from grandstand.settings import load_settings
    from grandstand.telemetry import logs, traces

    settings = load_settings(data_dir=data_dir, host=host, port=port, workers=workers, http_processes=http_processes)
    logs.configure(settings.log_format, settings.log_level, "supervisor")
    warn_of_unknown_settings()
    if settings.traces_enabled:
        # Else every child would say so, again and again.
        traces.check_installed()
    asyncio.run(_run(settings, parent_pid if os.environ.get(STOP_WITH_PARENT) == "1" else None))


async def _run(settings: Any, parent_pid: int | None) -> None:
    from grandstand.supervisor.signals import StopSignals
    from grandstand.supervisor.tree import Tree

    signals = StopSignals()
    signals.install()
    watching = asyncio.create_task(signals.watch_parent(parent_pid)) if parent_pid is not None else None
    try:
        await Tree(settings, signals, _say).run()
    finally:
        if watching is not None:
            watching.cancel()


def _say(text: str) -> None:
    typer.echo(text)
