"""One rebuild of the rollups, in a process of its own."""

from contextlib import AsyncExitStack

from grandstand.bootstrap.core import EngineUnreachableError, check_schema, open_core
from grandstand.domain.errors import UnavailableError
from grandstand.operations.count_events import EventCounter
from grandstand.settings import Settings


async def rebuild_rollups(settings: Settings) -> None:
    """Count all stored events anew; see `EventCounter.rebuild`.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
        ConflictError: counted events are no longer stored.
    """
    async with AsyncExitStack() as stack:
        core = await open_core(settings, stack)
        await check_schema(core)
        try:
            await EventCounter(core.database, core.event_log).rebuild()
        except UnavailableError as error:
            raise EngineUnreachableError(error.detail) from error
