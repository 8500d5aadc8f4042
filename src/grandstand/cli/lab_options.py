"""What the commands of the lab share: options, exit codes, and how they begin and end."""

import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

NOT_CLEAN = 1
NOT_RUN = 2
NOT_MEASURED = 3

Url = Annotated[str | None, typer.Option(envvar="GRANDSTAND_URL", help="A running server; without it one is started.")]
Key = Annotated[str | None, typer.Option(envvar="GRANDSTAND_SERVER_KEY", help="Its server key.", show_envvar=True)]
Seed = Annotated[int, typer.Option(min=0, help="Everything that is chosen follows from it.")]
Workers = Annotated[int, typer.Option(min=1, max=64, help="Workers of a server that is started.")]
HttpProcesses = Annotated[int, typer.Option(min=1, max=64, help="HTTP processes of a server that is started.")]
Generators = Annotated[
    int | None, typer.Option(min=1, max=64, help="Generator processes; as many as the load needs by default.")
]
Beside = Annotated[bool, typer.Option("--beside-data", help="Load a server that holds other data than the lab's.")]
Json = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report there.")]
Html = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page there.")]


def check_files(*paths: Path | None) -> None:
    """End the command when what it finds in the end could not be written: a run of minutes would be for nothing."""
    for path in paths:
        if path is None:
            continue
        try:
            is_there = path.exists()
            with path.open("ab"):
                pass
        except OSError as error:
            typer.echo(f"grandstand: {path} cannot be written: {error.strerror}.", err=True)
            raise typer.Exit(NOT_RUN) from None
        if not is_there:
            path.unlink()


def check_key(url: str | None, key: str | None) -> None:
    """End the command when a server is given without its key."""
    if url is not None and key is None:
        typer.echo("grandstand: --url needs --key, the server key of that server.", err=True)
        raise typer.Exit(NOT_RUN)


async def check_foreign(target: Any, beside_data: bool) -> None:
    """Refuse a server that holds what no lab made, unless that is wanted.

    Raises:
        LabError: it does.
    """
    from grandstand.lab.errors import LabError
    from grandstand.lab.foreign import foreign_data

    found = [] if beside_data else await foreign_data(target)
    if found:
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise LabError(f"The server holds {', '.join(found[:3])}{more}; --beside-data loads it all the same.")


def carry_out(work: Callable[[], Coroutine[Any, Any, dict[str, Any]]]) -> dict[str, Any]:
    """Do the work; end the command with one sentence when it cannot be done, or is stopped by a signal."""
    import asyncio

    import uvloop

    from grandstand.lab.errors import LabError
    from grandstand.lab.own_server import DeploymentError

    async def stoppable() -> dict[str, Any]:
        task = asyncio.current_task()
        if task is not None:
            for number in (signal.SIGTERM, signal.SIGHUP):
                # As Ctrl-C does by itself: what was started is ended, and its folder deleted. What is ignored stays so:
                # a run under `nohup` goes on when its terminal is closed.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        return await work()

    try:
        return uvloop.run(stoppable())
    except (asyncio.CancelledError, KeyboardInterrupt) as error:
        typer.echo("grandstand: The lab was stopped.", err=True)
        number = signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
        raise typer.Exit(128 + number) from None
    except (LabError, DeploymentError, OSError) as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(NOT_RUN) from None


def write(report: dict[str, Any], json: Path | None, html: Path | None, renderer: str) -> None:
    """Write a report where it is wanted; `renderer` is the module that makes its page.

    Ends the command when that cannot be done any more.
    """
    import importlib

    import msgspec

    try:
        if json is not None:
            json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
        if html is not None:
            html.write_text(importlib.import_module(renderer).render(report), encoding="utf-8")
    except OSError as error:
        typer.echo(f"grandstand: The report was not written: {error}.", err=True)
        raise typer.Exit(NOT_RUN) from None


def in_ms(milliseconds: float | None) -> str:
    """Return a latency as it is shown, or a dash where there was none."""
    return "-" if milliseconds is None else f"{milliseconds:.0f}"


def show_limit(limit: Any) -> None:
    """Print what the generator can do."""
    typer.echo(
        f"generator: {limit.cpu_us_each} µs of CPU a request; {limit.processes} process(es) can make "
        f"{limit.requests_per_second:,.0f} requests/s, the peak of {limit.daily_players:,} daily players"
    )
