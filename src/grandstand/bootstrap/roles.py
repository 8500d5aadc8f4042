"""Runs the roles of one process until it is told to stop."""

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack

import structlog

from grandstand.bootstrap.core import check_schema, open_core
from grandstand.settings import Role, Settings

_log = structlog.get_logger(__name__)


async def run_roles(
    settings: Settings, roles: Sequence[Role], listen: socket.socket | None, stop: asyncio.Event
) -> None:
    """Run the roles until `stop` is set, then finish what is under way, within the shutdown time-out.

    `listen` is the socket for HTTP; without one, a process with the role `ingest` or `api` binds its own.

    Raises:
        EngineUnreachableError: an engine is missing, out of reach at the start, or of another schema version.

    """
    async with AsyncExitStack() as stack:
        core = await open_core(settings, stack)
        await check_schema(core)
        await core.follower.refresh()
        # Work that ends by itself after the stop; the first to fail ends them all, and the process with it.
        async with asyncio.TaskGroup() as group:
            # Each role loads only its own code: a worker has no use for the HTTP stack.
            if "worker" in roles:
                from grandstand.bootstrap.worker_role import build_consumer

                group.create_task(build_consumer(core).run(stop), name="event consumer")
            if "scheduler" in roles:
                from grandstand.bootstrap.scheduler_role import scheduled_loops

                for work in scheduled_loops(core, stop):
                    group.create_task(work)
            if "ingest" in roles or "api" in roles:
                from grandstand.bootstrap.http_role import run_http

                group.create_task(run_http(core, roles, listen, stop), name="http")
            _log.info("roles_started", roles=list(roles), pid=os.getpid())
    _log.info("roles_stopped", roles=list(roles), pid=os.getpid())
