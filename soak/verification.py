"""The product's own word on its state: `grandstand verify`, where that command exists."""

import asyncio
import os
import sys
from pathlib import Path

from soak.findings import Findings

_TIMEOUT_SECONDS = 300.0
_ALL_MAX = 2_000_000
"""Events of which all are read within the time; of more it is a sample. The auditor has compared them all anyway."""

_SHOWN_CHARACTERS = 1_500


async def verify(data_dir: Path, stored: int, findings: Findings) -> None:
    """Run every check of the product on a running deployment: on the whole of it, unless too many events are stored."""
    code, _ = await _run("verify", "--help")
    if code != 0:
        return
    code, output = await _run("verify", *(("--all",) if stored <= _ALL_MAX else ()), "--data-dir", str(data_dir))
    if code != 0:
        findings.add("not_verified", f"`grandstand verify` ended with {code}: {output[-_SHOWN_CHARACTERS:]}")


async def _run(*arguments: str) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRANDSTAND_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "grandstand", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _TIMEOUT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return -1, f"not done within {_TIMEOUT_SECONDS:.0f} s"
    return process.returncode or 0, output.decode(errors="replace")
