"""What a loop is: it runs until told to stop, survives what its engines do, and waits in a way that a stop ends."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import UnavailableError
from grandstand.storage.postgres import OUT_OF_REACH

ENGINE_ERRORS = (UnavailableError, ValkeyError, *OUT_OF_REACH)
"""What an action may raise while an engine is away; the next round tries again."""

_log = structlog.get_logger(__name__)


async def run_every(
    name: str, interval_seconds: float, action: Callable[[], Awaitable[object]], stop: asyncio.Event
) -> None:
    """Run `action` at once and then every `interval_seconds` until the stop.

    An engine that is out of reach is logged once until it is back. Any other exception is a bug: it is logged with
    its trace, and the loop goes on, because the other rounds are still worth doing.
    """
    is_away = False
    while not stop.is_set():
        try:
            await action()
            if is_away:
                _log.info("loop_recovered", loop=name)
            is_away = False
        except ENGINE_ERRORS as error:
            if not is_away:
                _log.warning("loop_engine_unreachable", loop=name, error=str(error) or type(error).__name__)
            is_away = True
        except Exception:  # noqa: BLE001 - a loop outlives one bad round; the trace is what tells of it
            _log.exception("loop_round_failed", loop=name)
        await clock.wait(stop, interval_seconds)
