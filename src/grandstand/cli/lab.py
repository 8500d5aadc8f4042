"""`grandstand lab`: load a server as so many daily players would, and judge every reply."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, help="Load a server as so many daily players would, and judge every reply.",
    rich_markup_mode=None,
)  # fmt: skip

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


@app.callback()
def lab() -> None:
    """Load a server as so many daily players would, and judge every reply."""


@app.command()
def run(
    dau: Annotated[int, typer.Option(min=100, max=100_000_000, help="Daily players.")] = 10_000,
    minutes: Annotated[float, typer.Option(min=0.05, max=1440, help="How long.")] = 1.0,
    profile: Annotated[str, typer.Option(help="steady (a day's mean), peak, spike or storm.")] = "peak",
    url: Url = None,
    key: Key = None,
    seed: Seed = 1,
    workers: Workers = 2,
    http_processes: HttpProcesses = 1,
    generators: Generators = None,
    beside_data: Beside = False,
    json: Json = None,
    html: Html = None,
) -> None:
    """Run once. What the load model tells is sent when it is due, whether or not the server keeps up.

    Exit codes: 0 everything was as promised, 1 it was not, or requests failed, 2 the run could not be made,
    3 the generator itself could not keep its schedule: no verdict on the server.
    """
    from grandstand.lab.arrivals import PROFILES

    if profile not in PROFILES:
        typer.echo(f"grandstand: --profile is one of {', '.join(PROFILES)}.", err=True)
        raise typer.Exit(NOT_RUN)
    check_key(url, key)

    async def measured() -> dict[str, Any]:
        from grandstand.cli.lab_progress import Progress
        from grandstand.lab.calibration import calibrate
        from grandstand.lab.load_model import LoadModel
        from grandstand.lab.measuring import Load, measure, open_target

        of_profile: Any = profile
        model = LoadModel(dau)
        with Progress(minutes * 60) as progress:
            progress.say("measuring the generator itself")
            limit = await calibrate(model, of_profile, generators)
            show_limit(limit)
            progress.say("starting" if url is None else "connecting")
            async with open_target(url, key, workers, http_processes) as target:
                await check_foreign(target, beside_data)
                load = Load(model, of_profile, minutes * 60, seed, limit)
                return (await measure(target, load, progress.say, progress.tell))[0]

    report = carry_out(measured)
    write(report, json, html, "grandstand.lab.report")
    _show(report)
    if report["wrong"] or report["lost"] or report["doubled"]:
        raise typer.Exit(NOT_CLEAN)
    if report["verdict"] == "Not measured":
        raise typer.Exit(NOT_MEASURED)
    if report["errors"] or report["load"]["unsent"]:
        raise typer.Exit(NOT_CLEAN)


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
    """Do the work; end the command with one sentence when it cannot be done."""
    import uvloop

    from grandstand.lab.errors import LabError
    from grandstand.lab.own_server import DeploymentError

    try:
        return uvloop.run(work())
    except (LabError, DeploymentError, OSError) as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(NOT_RUN) from None


def write(report: dict[str, Any], json: Path | None, html: Path | None, renderer: str) -> None:
    """Write a report where it is wanted; `renderer` is the module that makes its page."""
    import importlib

    import msgspec

    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if html is not None:
        html.write_text(importlib.import_module(renderer).render(report), encoding="utf-8")


def show_limit(limit: Any) -> None:
    """Print what the generator can do."""
    typer.echo(
        f"generator: {limit.cpu_us_each} µs of CPU a request; {limit.processes} process(es) can make "
        f"{limit.requests_per_second:,.0f} requests/s, the peak of {limit.daily_players:,} daily players"
    )


def _show(report: dict[str, Any]) -> None:
    typer.echo(f"{report['load']['daily_players']:,} daily players, {report['load']['profile']}: {report['verdict']}")
    for reason in report["reasons"]:
        typer.echo(f"  {reason}")
    typer.echo(f"{report['events_per_second']:,.0f} events/s, {report['reads_per_second']:,.0f} reads/s")
    for name in ("accept", "visible", "read", "late"):
        each = report["latencies_ms"].get(name)
        if each:
            typer.echo(
                f"{name:<8} p50 {each['p50']:>8.2f} ms   p99 {each['p99']:>8.2f} ms   worst {each['worst']:>8.2f} ms"
            )
    cores = ", ".join(f"{name} {used}" for name, used in report["server"]["cores"].items())
    typer.echo(f"cores: {cores or 'unknown'}; of the machine {report['machine']['busy_share']}")
    if report["server"]["ours_rss_mb"]:
        typer.echo(f"memory: {report['server']['ours_rss_mb']} MB RSS without the engines")
    typer.echo(
        f"errors {report['errors']}, lost {report['lost']}, doubled {report['doubled']}, wrong {report['wrong']}"
    )
    for finding in report["findings"]:
        typer.echo(f"  {finding}")
