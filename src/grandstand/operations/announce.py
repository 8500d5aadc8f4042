"""Tells other processes of a change that is committed. What they do not hear of they find out by age."""

from collections.abc import Awaitable, Callable

import structlog
from valkey.exceptions import ValkeyError

_log = structlog.get_logger(__name__)


async def announce(*tellings: Callable[[], Awaitable[None]]) -> None:
    """Publish each (methods of `Changes`); without Valkey the change stands all the same."""
    try:
        for tell in tellings:
            await tell()
    except (ValkeyError, OSError) as error:
        _log.warning("change_not_announced", error=str(error))
