"""`grandstand lab run`."""

from typing import Annotated, Any

import typer

from grandstand.cli.lab_options import (
    NOT_CLEAN,
    NOT_MEASURED,
    NOT_RUN,
    Beside,
    Generators,
    Html,
    HttpProcesses,
    Json,
    Key,
    Seed,
    Url,
    Workers,
    carry_out,
    check_files,
    check_foreign,
    check_key,
    show_limit,
    write,
)


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
    3 the generator itself could not keep its schedule, the load was too small, or the server told no lag: no verdict
    on the server.
    """
    from grandstand.lab.arrivals import PROFILES

    if profile not in PROFILES:
        typer.echo(f"grandstand: --profile is one of {', '.join(PROFILES)}.", err=True)
        raise typer.Exit(NOT_RUN)
    check_key(url, key)
    check_files(json, html)

    async def measured() -> dict[str, Any]:
        from grandstand.cli.lab_progress import Progress
        from grandstand.lab.calibration import limit_of, seconds_a_request
        from grandstand.lab.load_model import LoadModel
        from grandstand.lab.measuring import Load, measure, open_target

        of_profile: Any = profile
        model = LoadModel(dau)
        with Progress(minutes * 60) as progress:
            progress.say("measuring the generator itself")
            limit = limit_of(await seconds_a_request(), model, of_profile, generators)
            show_limit(limit)
            progress.say("starting" if url is None else "connecting")
            async with open_target(url, key, workers, http_processes) as target:
                await check_foreign(target, beside_data)
                load = Load(model, of_profile, minutes * 60, seed, limit)
                return (await measure(target, load, progress.say, progress.tell))[0]

    report = carry_out(measured)
    _show(report)
    write(report, json, html, "grandstand.lab.report")
    if report["wrong"] or report["lost"] or report["doubled"]:
        raise typer.Exit(NOT_CLEAN)
    if report["verdict"] == "Not measured":
        raise typer.Exit(NOT_MEASURED)
    if report["errors"] or report["load"]["unsent"]:
        raise typer.Exit(NOT_CLEAN)


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
