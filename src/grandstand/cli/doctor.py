"""`grandstand doctor`: whether a deployment is set up so that the promises can be kept, and what to do."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from grandstand.diagnosis.advice import Advice

FAILED = 1
_SIGNS = {"ok": "ok", "warning": "WARNING", "failed": "FAILED"}


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Find the engines of a running `grandstand up` by its data folder.")
    ] = None,
) -> None:
    """Check settings, this machine, engines, versions, clocks and room, and say what to do.

    Reads and changes nothing. What is stored is another command's: `grandstand verify`.

    Exit codes: 0 nothing failed, 1 something did, 2 wrong usage or setting.
    """
    from grandstand.cli.engines import load_for_engines

    settings = load_for_engines(data_dir, "doctor")
    advices = asyncio.run(_ask(settings, data_dir, show=not json))
    failed = any(advice.status == "failed" for advice in advices)
    if json:
        import msgspec

        typer.echo(msgspec.json.format(msgspec.json.encode({"is_ok": not failed, "checks": advices})).decode())
    if failed:
        raise typer.Exit(FAILED)


async def _ask(settings: Any, data_dir: Path | None, *, show: bool) -> "list[Advice]":
    from grandstand import bootstrap

    advices = []
    async for advice in bootstrap.diagnose(settings, data_dir):
        advices.append(advice)
        if show:
            _say(f"{_SIGNS[advice.status]:<8} {advice.check:<26} {advice.finding}")
            if advice.do:
                _say(f"{'':<8} {'':<26} → {advice.do}")
    return advices


def _say(line: str) -> None:
    try:
        typer.echo(line)
    except BrokenPipeError:
        # Nobody reads on (`| head`). Breaking off amid a check fails loudly, and the exit code counts still.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
