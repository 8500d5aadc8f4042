"""`grandstand lab`: load a server as so many daily players would, and judge every reply."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    no_args_is_help=True, help="Load a server as so many daily players would, and judge every reply.",
    rich_markup_mode=None,
)  # fmt: skip

NOT_CLEAN = 1
NOT_RUN = 2


@app.callback()
def lab() -> None:
    """Load a server as so many daily players would, and judge every reply."""


@app.command()
def run(
    dau: Annotated[int, typer.Option(min=100, max=100_000_000, help="Daily players.")] = 10_000,
    minutes: Annotated[float, typer.Option(min=0.05, max=1440, help="How long.")] = 1.0,
    profile: Annotated[str, typer.Option(help="steady (a day's mean), peak, spike or storm.")] = "peak",
    url: Annotated[
        str | None, typer.Option(envvar="GRANDSTAND_URL", help="A running server; without it one is started.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(envvar="GRANDSTAND_SERVER_KEY", help="Its server key.", show_envvar=True)
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Everything that is chosen follows from it.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers of a server that is started.")] = 2,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report there.")] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as a page there.")] = None,
) -> None:
    """Run once. What the load model tells is sent when it is due, whether or not the server keeps up.

    Exit codes: 0 the auditor is clean, 1 it is not, 2 the run could not be made.
    """
    import asyncio

    import msgspec

    from grandstand.lab.arrivals import PROFILES
    from grandstand.lab.own_server import DeploymentError
    from grandstand.lab.report import render
    from grandstand.lab.run import LabError

    if profile not in PROFILES:
        typer.echo(f"grandstand: --profile is one of {', '.join(PROFILES)}.", err=True)
        raise typer.Exit(NOT_RUN)
    if url is not None and key is None:
        typer.echo("grandstand: --url needs --key, the server key of that server.", err=True)
        raise typer.Exit(NOT_RUN)
    try:
        report = asyncio.run(_run(dau, minutes * 60, profile, url, key, seed, workers))
    except (LabError, DeploymentError, OSError) as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(NOT_RUN) from None
    if json is not None:
        json.write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    if html is not None:
        html.write_text(render(report), encoding="utf-8")
    _show(report)
    if report["wrong"] or report["lost"] or report["doubled"]:
        raise typer.Exit(NOT_CLEAN)


async def _run(
    dau: int, seconds: float, profile: Any, url: str | None, key: str | None, seed: int, workers: int
) -> dict[str, Any]:
    from contextlib import AsyncExitStack
    from urllib.parse import urlsplit

    from rich.console import Console

    from grandstand.lab.load_model import LoadModel
    from grandstand.lab.own_server import Deployment
    from grandstand.lab.report import build
    from grandstand.lab.run import Run
    from grandstand.lab.vitals import Vitals

    async with AsyncExitStack() as stack:
        status = stack.enter_context(Console(stderr=True).status("starting"))
        pid, names = None, {}
        if url is None:
            server = await stack.enter_async_context(Deployment(workers))
            host, port, key, pid = server.host, server.port, server.server_key, server.supervisor_pid
            names = {each.pid: each.name.rpartition("-")[0] or each.name for each in server.state.processes}
        else:
            parts = urlsplit(url)
            host, port = parts.hostname or "127.0.0.1", parts.port or 80
        assert key is not None  # noqa: S101 - the caller has seen to it
        run = Run(host, port, key, LoadModel(dau), seed, status.update)
        vitals = Vitals(host, port, key, pid, names)
        await run.prepare()
        await run.load(profile, seconds, vitals)
        await run.close()
        await run.tidy()
        return build(run, profile, seconds, vitals.samples)


def _show(report: dict[str, Any]) -> None:
    typer.echo(f"{report['load']['daily_players']:,} daily players, {report['load']['profile']}: {report['verdict']}")
    for reason in report["reasons"]:
        typer.echo(f"  {reason}")
    typer.echo(f"{report['events_per_second']:,.0f} events/s, {report['reads_per_second']:,.0f} reads/s")
    for name in ("accept", "visible", "read"):
        each = report["latencies_ms"].get(name)
        if each:
            typer.echo(
                f"{name:<8} p50 {each['p50']:>8.2f} ms   p99 {each['p99']:>8.2f} ms   worst {each['worst']:>8.2f} ms"
            )
    typer.echo(
        f"errors {report['errors']}, lost {report['lost']}, doubled {report['doubled']}, wrong {report['wrong']}"
    )
    typer.echo(f"generator late: p99 {report['generator']['late_p99_ms']} ms")
    for finding in report["findings"]:
        typer.echo(f"  {finding}")
