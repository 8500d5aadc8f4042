"""One measured run from start to report, against a server that is given or one that is started for it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import psutil

from grandstand.lab.arrivals import Profile
from grandstand.lab.calibration import Limit
from grandstand.lab.errors import BacklogError, LabError
from grandstand.lab.load_model import LoadModel
from grandstand.lab.own_server import Deployment
from grandstand.lab.report import build, figures_of
from grandstand.lab.run import GIVE_UP_SECONDS, Moment, Run
from grandstand.lab.verdict import Figures
from grandstand.lab.vitals import Vitals


@dataclass
class Target:
    """A server. `pid` is the top process of one that was started here, `names` tells the kinds of the others.

    `is_here` says whether it shares this machine, so that the use of its processors says something of the server.
    """

    host: str
    port: int
    key: str
    pid: int | None = None
    names: Callable[[], dict[int, str]] = dict
    is_here: bool = True


@dataclass
class Load:
    """What to measure."""

    model: LoadModel
    profile: Profile
    seconds: float
    seed: int
    limit: Limit
    give_up_seconds: float = GIVE_UP_SECONDS


@asynccontextmanager
async def open_target(url: str | None, key: str | None, workers: int, http_processes: int) -> AsyncIterator[Target]:
    """Give the server at `url`, or start one and end it afterwards.

    Raises:
        LabError: the URL is none of a server.
        DeploymentError: it does not start.
    """
    if url is None:
        async with Deployment(workers, http_processes) as server:
            yield Target(server.host, server.port, server.server_key, server.supervisor_pid, server.names)
        return
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port or 80
    except ValueError as error:
        raise LabError(f"{url} is no address: {error}.") from None
    if scheme != "http" or not host:
        raise LabError(f"The lab speaks plain HTTP; {url} is no http:// address.")
    yield Target(host, port, key or "", is_here=await asyncio.to_thread(_is_here, host, port))


def _is_here(host: str, port: int) -> bool:
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise LabError(f"The server at {host}:{port} cannot be reached: {error}.") from error
    ours = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    return any(ip_address(each.partition("%")[0]).is_loopback for each in found) or not found.isdisjoint(ours)


async def measure(
    target: Target, load: Load, say: Callable[[str], None], tell: Callable[[Moment], None] | None = None
) -> tuple[dict[str, Any], Figures]:
    """Run once; return the report and what the verdict followed from.

    Raises:
        LabError: the run cannot be made, or the server does not answer afterwards.
    """
    run = Run(
        target.host, target.port, target.key, load.model, load.seed, say,
        generators=load.limit.processes, give_up_seconds=load.give_up_seconds, tell=tell,
    )  # fmt: skip
    vitals = Vitals(target.host, target.port, target.key, target.pid, target.names)
    await run.prepare()
    await run.load(load.profile, load.seconds, vitals)
    try:
        await run.close()
    except BacklogError as error:
        run.audit.find(str(error))
    try:
        await run.tidy()
    except LabError as error:
        # Nor is all that was measured for nothing.
        run.audit.find(str(error))
    figures = figures_of(run, vitals.samples, load.profile, is_here=target.is_here)
    report = build(
        run, load.profile, load.seconds, vitals.samples, load.limit, figures, is_here=target.is_here
    )  # fmt: skip
    return report, figures
