"""The generator's own limit, measured before each run: its processor time a request against a server that does nothing.

Processor time and not a rate: the machine may be busy with other things, and the stub needs a core of its own.
"""

import asyncio
import math
import os
import sys

import msgspec

from grandstand.lab.arrivals import Profile, rate_factor_most
from grandstand.lab.crew import Crew
from grandstand.lab.errors import LabError
from grandstand.lab.generator import Order
from grandstand.lab.load_model import LoadModel

CALIBRATION_SECONDS = 1.5
CALIBRATION_PLAYERS = 500_000
"""With few, waking up each millisecond is most of the cost; with more, one process may be at its end."""

BUSY_MAX = 0.6
"""Share of its core up to which one process is used: beyond, it is late more often."""

_CONNECTIONS = 64
_GIVE_UP_SECONDS = 30.0


class Limit(msgspec.Struct):
    """What the generator can do. Of all its processes together, each on a core of its own."""

    cpu_us_each: float
    processes: int
    requests_per_second: float
    events_per_second: float
    daily_players: int


async def seconds_a_request() -> float:
    """Measure the generator: its processor time a request, reading and judging the answer included.

    Raises:
        LabError: the stub did not start.
    """
    stub = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "grandstand.lab.stub",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert stub.stdout is not None  # noqa: S101 - it was asked for
        line = await stub.stdout.readline()
        if not line:
            raise LabError("The stub that the generator is measured against did not start.")
        order = Order(
            "127.0.0.1", int(line), "gs_server_calibration", "lab-calibration", CALIBRATION_PLAYERS, "peak",
            CALIBRATION_SECONDS, 1, 0, 1, _CONNECTIONS, _GIVE_UP_SECONDS,
        )  # fmt: skip
        async with Crew([order]) as crew:
            (ended,) = await crew.load(lambda _: None)
    finally:
        if stub.returncode is None:
            stub.kill()
        await stub.wait()
    return ended.cpu_seconds / max(1, ended.requests)


def limit_of(each_seconds: float, model: LoadModel, profile: Profile, processes: int | None) -> Limit:
    """Return what the generator can do; `processes` None takes as many as the load needs and the machine has cores."""
    mix = model.peak_requests_per_second
    needed = mix * rate_factor_most(profile) * each_seconds / BUSY_MAX
    count = processes or max(1, min(os.cpu_count() or 1, math.ceil(needed)))
    requests = count / each_seconds
    return Limit(
        round(each_seconds * 1e6, 1),
        count,
        round(requests),
        round(requests / mix * model.peak_events_per_second),
        int(requests / mix * model.daily_players),
    )
