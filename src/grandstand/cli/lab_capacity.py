"""`grandstand lab capacity`."""

from pathlib import Path
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
    in_ms,
    show_limit,
    write,
)

_GIVE_UP_SECONDS = 5.0


def capacity(
    minutes: Annotated[
        float, typer.Option(min=0.05, max=1440, help="Time for all steps; none begins after it.")
    ] = 20.0,
    step_seconds: Annotated[float, typer.Option(min=3, max=3600, help="How long each load lasts.")] = 20.0,
    first: Annotated[int, typer.Option(min=100, max=100_000_000, help="Daily players of the first step.")] = 10_000,
    steps: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep finished steps there, and go on from them.")
    ] = None,
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
    """Find the highest peak that can go on: accept p99 < 100 ms, ranks visible p99 < 1 s, reads p99 < 50 ms, no errors.

    Exit codes: 0 found, 1 the auditor found what is not as promised, 2 not run, or a step could not be finished: what
    was measured before it is shown, 3 the generator was the limit or time ran out: the capacity is at least that.
    """
    check_key(url, key)
    check_files(json, html, steps)

    async def searched() -> dict[str, Any]:
        from grandstand.cli.lab_progress import Progress
        from grandstand.lab import capacity as finding
        from grandstand.lab.calibration import limit_of, seconds_a_request
        from grandstand.lab.errors import LabError
        from grandstand.lab.load_model import LoadModel
        from grandstand.lab.measuring import Load, measure, open_target
        from grandstand.lab.report import machine_now
        from grandstand.lab.verdict import is_sustained

        settings = {
            "url": url, "workers": workers, "http_processes": http_processes, "seed": seed,
            "step_seconds": step_seconds, "machine": machine_now(),
        }  # fmt: skip
        kept = finding.kept_steps(steps, settings)
        with Progress(step_seconds) as progress:
            progress.say("measuring the generator itself")
            each_seconds = await seconds_a_request()
            show_limit(limit_of(each_seconds, LoadModel(first), "peak", generators))
            async with open_target(url, key, workers, http_processes) as target:
                await check_foreign(target, beside_data)

                async def attempt(players: int) -> tuple[dict[str, Any], bool]:
                    progress.begin(f"{players:,} daily players", step_seconds)
                    limit = limit_of(each_seconds, LoadModel(players), "peak", generators)
                    load = Load(LoadModel(players), "peak", step_seconds, seed, limit, _GIVE_UP_SECONDS)
                    report, figures = await measure(target, load, progress.say, progress.tell)
                    holds = is_sustained(figures)
                    _show_step(report, holds)
                    return report, holds

                try:
                    is_known, failure = await finding.search(attempt, kept, steps, first, minutes * 60), None
                except LabError as error:
                    if not kept.steps:
                        raise
                    # What took minutes to measure is shown all the same.
                    is_known, failure = False, str(error)
        return finding.summary(kept.steps, is_known, failure)

    report = carry_out(searched)
    _show(report)
    write(report, json, html, "grandstand.lab.capacity_report")
    if report["failure"] is not None:
        typer.echo(f"grandstand: {report['failure']}", err=True)
    if report["wrong"] or report["lost"] or report["doubled"]:
        raise typer.Exit(NOT_CLEAN)
    if report["failure"] is not None:
        raise typer.Exit(NOT_RUN)
    if report["is_lower_bound"] or not report["is_known"]:
        raise typer.Exit(NOT_MEASURED)


def _show_step(report: dict[str, Any], holds: bool) -> None:
    why = "" if holds else f"; {'; '.join(report['reasons'])}"
    typer.echo(
        f"{report['load']['daily_players']:>12,}  {'holds' if holds else 'does not hold'}: "
        f"{report['events_per_second']:,.0f} events/s, {report['reads_per_second']:,.0f} reads/s; p99 in ms: accept "
        f"{in_ms(report['accept_p99_ms'])}, visible {in_ms(report['visible_p99_ms'])}, "
        f"reads {in_ms(report['read_p99_ms'])}{why}"
    )


def _show(report: dict[str, Any]) -> None:
    at_least = "at least " if report["is_lower_bound"] or not report["is_known"] else ""
    typer.echo(
        f"\nCapacity: {at_least}{report['capacity_daily_players']:,} daily players "
        f"({report['events_per_second']:,.0f} events/s at their peak)"
    )
    if report["limit"] is not None:
        typer.echo(f"Limited by {report['limit']['resource']}: {report['limit']['why']}. Add {report['limit']['add']}.")
    typer.echo(f"\n{'daily players':>15}  {'of capacity':>11}  verdict")
    for row in report["table"]:
        share = "" if row["share_of_capacity"] is None else f"{row['share_of_capacity']:.1%}"
        measured = "measured" if row["is_measured"] else "by its share"
        typer.echo(f"{row['daily_players']:>15,}  {share:>11}  {row['verdict']} ({measured})")
    if report["projection"]["of"]:
        typer.echo("\nBeyond this machine, by what an event cost here:")
        for each in report["projection"]["of"]:
            needs = ", ".join(f"{count} {words}" for words, count in each["needs"].items())
            typer.echo(f"{each['daily_players']:>15,}  {needs or 'unknown: the server does not run here'}")
        typer.echo("This assumes that")
        for assumption in report["projection"]["assumptions"]:
            typer.echo(f"  - {assumption}")
