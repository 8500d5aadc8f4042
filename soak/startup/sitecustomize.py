"""Runs at the start of every process of the tree under test: lets the harness move the clock and plant bugs.

Found through PYTHONPATH. `SOAK_CLOCK` names a file with one double, by how many seconds the product's clock is ahead;
`SOAK_PLANTED` names a Python file to run, which patches a bug into the product (see tests/soak/planted).
"""

import mmap
import os
import runpy
import struct
from datetime import UTC, datetime, timedelta


def _move_clock(path: str) -> None:
    from grandstand import clock

    with open(path, "rb") as file:
        held = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=struct.unpack("d", held[:8])[0])

    clock.now = now


if "SOAK_CLOCK" in os.environ:
    _move_clock(os.environ["SOAK_CLOCK"])
if "SOAK_PLANTED" in os.environ:
    runpy.run_path(os.environ["SOAK_PLANTED"])
