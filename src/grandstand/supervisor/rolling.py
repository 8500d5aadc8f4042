"""The rolling restart: every child is replaced, one after the other, while the rest go on working."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping

import structlog

from grandstand.supervisor.child import Child, ChildSpec

POLL_SECONDS = 0.05
GRACE_SECONDS = 2.0
"""How much longer than its own limit a child is given to stop before it is killed."""

logger = structlog.get_logger(__name__)


async def restart_children(
    children: Mapping[str, Child],
    prepare: Callable[[ChildSpec], Awaitable[bool]],
    stop_timeout_seconds: float,
    ready: Callable[[], Awaitable[None]],
) -> None:
    """Ask each child in turn to stop; whoever keeps it lets another begin in its place.

    Before, `prepare` starts that other one and waits until it has loaded its code: nobody waits for that while a child
    is missed, and code that does not even load (a release that is broken, say) replaces nobody. The next one is asked
    when the new one runs and `ready` has returned. The listening socket stays open all the time, so connections that
    come while an HTTP process is replaced wait for the new one, or go to another.
    """
    for name, old in list(children.items()):
        if not old.is_running:
            continue
        if not await prepare(old.spec):
            logger.error("children_not_restarted", reason=f"What should replace {name} did not start.")
            return
        old.send(signal.SIGTERM)
        try:
            await asyncio.wait_for(old.wait(), stop_timeout_seconds + GRACE_SECONDS)
        except TimeoutError:
            logger.warning("child_killed", child=name)
            old.send(signal.SIGKILL)
        while (new := children[name]) is old or not new.is_running:  # noqa: ASYNC110 - its keeper starts it
            await asyncio.sleep(POLL_SECONDS)
        await ready()
    logger.info("children_restarted", children=list(children))
