"""Keeps one engine or one child running: started again when it ends, after a wait that grows (see backoff.py)."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from grandstand.embedded.engine import Engine
from grandstand.embedded.errors import EngineStartError
from grandstand.supervisor.backoff import Backoff
from grandstand.supervisor.child import Child, ChildSpec, describe_exit

CLEAN_SECONDS = 1.0
"""A child that ends by itself sooner than this after its start is not being replaced: something is wrong with it."""

logger = structlog.get_logger(__name__)


async def keep_child(
    spec: ChildSpec, spawn: Callable[[ChildSpec], Awaitable[Child]], ended: Callable[[Child, int], None]
) -> None:
    """Start the child, and again whenever it ends, until cancelled.

    Args:
        spec: what it runs.
        spawn: starts it; when that fails (no memory, say) it is tried again, too.
        ended: told of every end, with the exit code; an exception from it ends the keeping.

    """
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    while True:
        started = loop.time()
        try:
            child = await spawn(spec)
        except OSError as error:
            how = f"it could not be started: {error}"
        else:
            code = await child.wait()
            ended(child, code)
            if code == 0 and loop.time() - started >= CLEAN_SECONDS:
                # Somebody told it to stop, to have a new one in its place.
                logger.info("child_replaced", child=spec.name)
                continue
            how = describe_exit(code)
        delay_seconds = backoff.delay_seconds(loop.time() - started)
        logger.warning("child_ended", child=spec.name, how=how, restart_in_seconds=delay_seconds)
        await asyncio.sleep(delay_seconds)


async def keep_engine(engine: Engine) -> None:
    """Wait for the end of a running engine and start it again, until cancelled. Its data is as it was."""
    loop = asyncio.get_running_loop()
    backoff = Backoff()
    how: str | None = None
    started = loop.time()
    while True:
        if how is None:
            how = describe_exit(await engine.wait())
        if engine.is_disk_full():
            logger.error("disk_full", engine=engine.name, folder=str(engine.data))
        delay_seconds = backoff.delay_seconds(loop.time() - started)
        logger.error("engine_ended", engine=engine.name, how=how, restart_in_seconds=delay_seconds)
        await asyncio.sleep(delay_seconds)
        started = loop.time()
        try:
            await engine.start()
        except (EngineStartError, OSError) as error:
            how = str(error)
        else:
            how = None
            logger.info("engine_restarted", engine=engine.name)
