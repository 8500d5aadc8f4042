"""Runs the roles of one process until it is told to stop."""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import structlog

from grandstand import clock
from grandstand.bootstrap.core import Core, EngineUnreachableError, check_schema, open_core
from grandstand.bootstrap.garbage import spare_what_stays
from grandstand.domain.errors import UnavailableError
from grandstand.operations.stream_registry import FOLLOW_SECONDS
from grandstand.settings import Role, Settings
from grandstand.workers.loop import run_every

if TYPE_CHECKING:
    from grandstand.bootstrap.listening import Listening

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 2.0
_log = structlog.get_logger(__name__)


async def run_roles(
    settings: Settings,
    roles: Sequence[Role],
    listen: socket.socket | None,
    stop: asyncio.Event,
    *,
    waits_for_engines: bool = False,
) -> None:
    """Run the roles until `stop` is set, then finish what is under way, within the shutdown time-out.

    `listen` is the socket for HTTP; without one, a process with the role `ingest` or `api` binds its own. One with
    neither role answers there only that it lives, and its metrics (`api/watched.py`). With `waits_for_engines` the
    start waits for engines that are out of reach, and HTTP answers 503 meanwhile.

    Raises:
        EngineUnreachableError: an engine is missing, out of reach at the start, or of another schema version.

    """
    work = asyncio.create_task(_run(settings, roles, listen, stop, waits_for_engines=waits_for_engines))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait((work,), timeout=settings.shutdown_timeout_seconds)
        if not work.done():
            # Nothing is lost: what is not finished is not acknowledged, or still in the stream.
            _log.warning("stopped_unfinished", timeout_seconds=settings.shutdown_timeout_seconds)
            work.cancel()
            await asyncio.wait((work,))
        if not work.cancelled():
            work.result()
    finally:
        stopped.cancel()
        work.cancel()
    _log.info("roles_stopped", roles=list(roles), pid=os.getpid())


async def _run(
    settings: Settings,
    roles: Sequence[Role],
    listen: socket.socket | None,
    stop: asyncio.Event,
    *,
    waits_for_engines: bool,
) -> None:
    async with AsyncExitStack() as stack:
        core: Core | None = None
        try:
            core = await _open(settings, stack)
        except EngineUnreachableError:
            if not waits_for_engines:
                raise
        # The first task to fail ends them all, and the process with it. Each role loads only its own code: a worker
        # has no use for the HTTP stack.
        async with asyncio.TaskGroup() as group:
            listening = None
            if "ingest" in roles or "api" in roles:
                from grandstand.bootstrap.listening import Listening

                listening = Listening(settings, listen, stop)
                if core is None:
                    # Until the engines are there it says so. A usual start is short: connections wait for its end.
                    listening.start()
            elif listen is not None:
                from grandstand.bootstrap.listening import serve_watched

                group.create_task(serve_watched(settings, listen, stop), name="watched")
            core = core or await _wait_and_open(settings, stack, stop)
            if core is not None:
                _start(core, roles, listening, group, stop)
            elif listening is not None:
                await listening.start()  # which the stop has ended


def _start(
    core: Core, roles: Sequence[Role], listening: "Listening | None", group: asyncio.TaskGroup, stop: asyncio.Event
) -> None:
    group.create_task(run_every("streams", FOLLOW_SECONDS, core.registry.refresh, stop))
    if "worker" in roles:
        from grandstand.bootstrap.worker_role import build_consumers

        group.create_task(build_consumers(core).run(stop), name="event consumers")
        spare_what_stays()
    if "scheduler" in roles:
        from grandstand.bootstrap.scheduler_role import scheduled_loops

        for work in scheduled_loops(core, stop):
            group.create_task(work)
    if listening is not None:
        from grandstand.bootstrap.http_role import run_http

        group.create_task(run_http(core, roles, listening, stop), name="http")
    _log.info("roles_started", roles=list(roles), pid=os.getpid())


async def _open(settings: Settings, stack: AsyncExitStack) -> Core:
    """Connect to the engines; the stack closes the connections.

    Raises:
        EngineUnreachableError: they cannot be used.

    """
    async with AsyncExitStack() as attempt:
        core = await open_core(settings, attempt)
        try:
            await check_schema(core)
            await core.follower.refresh()
            await core.registry.open(settings.event_streams)
        except UnavailableError as error:
            raise EngineUnreachableError(error.detail) from error
        stack.push_async_exit(attempt.pop_all())
        return core


async def _wait_and_open(settings: Settings, stack: AsyncExitStack, stop: asyncio.Event) -> Core | None:
    """Connect to the engines as soon as they are there; None when the stop came first."""
    wait_seconds = _FIRST_WAIT_SECONDS
    while not stop.is_set():
        try:
            return await _open(settings, stack)
        except EngineUnreachableError as error:
            _log.warning("waiting_for_engines", error=str(error), again_in_seconds=wait_seconds)
        await clock.wait(stop, wait_seconds)
        wait_seconds = min(_LONGEST_WAIT_SECONDS, wait_seconds * 2)
    return None
