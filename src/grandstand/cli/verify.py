"""`grandstand verify`: every promise held to what is stored, beside a deployment that goes on working."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from grandstand.invariants.run import CheckReport

BROKEN = 1
NOT_RUN = 2


def verify(
    check: Annotated[
        list[str] | None, typer.Option("--check", metavar="NAME", help="Run this check only; may be repeated.")
    ] = None,
    sample: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many users, ids and entries a check looks at.")
    ] = 1000,
    everything: Annotated[bool, typer.Option("--all", help="Look at everything instead of a sample.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which sample: the same seed takes the same.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Find the engines of a running `grandstand up` by its data folder.")
    ] = None,
) -> None:
    """Check that the promises are kept: nothing lost, nothing counted or paid twice, the ranks served right.

    Reads and changes nothing, and needs nothing to stop. Works on the engines themselves: GRANDSTAND_DATABASE_URL and
    GRANDSTAND_VALKEY_URL, or those of a running `grandstand up` with --data-dir.

    Exit codes: 0 all is as promised, 1 something is not, 2 a check could not be run: wrong usage or setting, an engine
    out of reach, or too slow.
    """
    from grandstand import bootstrap
    from grandstand.cli.engines import load_for_engines
    from grandstand.invariants.check import Scope
    from grandstand.invariants.run import UnknownCheckError, find_checks

    settings = load_for_engines(data_dir, "verify")
    try:
        checks = find_checks(check or [])
        scope = Scope(sample=None if everything else sample, seed=seed, statement_timeout_seconds=3600.0)
        reports = asyncio.run(_run(settings, scope, checks, show=not json))
    except (UnknownCheckError, bootstrap.EngineUnreachableError) as error:
        typer.echo(f"grandstand: {error}", err=True)
        raise typer.Exit(NOT_RUN) from None
    statuses = {report.status for report in reports.checks}
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode(reports)).decode())
    if "findings" in statuses:
        raise typer.Exit(BROKEN)
    if "failed" in statuses:
        raise typer.Exit(NOT_RUN)


async def _run(settings: Any, scope: Any, checks: Any, *, show: bool) -> Any:
    import time

    from grandstand import bootstrap, clock
    from grandstand.invariants.run import Report

    started_at, started = clock.now(), time.perf_counter()
    reports = []
    async for report in bootstrap.verify(settings, scope, checks):
        reports.append(report)
        if show:
            _show(report)
    return Report(
        is_ok=all(report.status in ("ok", "skipped") for report in reports),
        started_at=started_at,
        seconds=round(time.perf_counter() - started, 3),
        sample=scope.sample,
        seed=scope.seed,
        checks=reports,
    )


def _show(report: "CheckReport") -> None:
    """Print one line for the check, and its examples below."""
    status = f"{report.findings:,} findings" if report.findings > 1 else f"{report.findings} finding"
    if report.status != "findings":
        status = report.status if report.reason is None else f"{report.status}: {report.reason}"
    looked = f"{report.looked_at:,} looked at"
    if report.undecided:
        looked += f", {report.undecided:,} undecided"
    typer.echo(f"{report.name:<28}{_plain(status)} ({looked}, {report.seconds:.2f} s)")
    for example in report.examples:
        ids = ", ".join(f"{name} {value}" for name, value in example.ids.items() if value is not None)
        typer.echo(f"    {_plain(example.message)} ({_plain(ids)})")
    if report.findings > len(report.examples):
        typer.echo(f"    … and {report.findings - len(report.examples):,} more.")


def _plain(text: str) -> str:
    # A terminal obeys control characters, and ids come from outside.
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
