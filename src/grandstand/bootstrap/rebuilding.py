"""One rebuild of the rollups, in a process of its own."""

from grandstand.bootstrap.core import checked_core
from grandstand.operations.count_events import EventCounter
from grandstand.settings import Settings


async def rebuild_rollups(settings: Settings) -> None:
    """Count all stored events anew; see `EventCounter.rebuild`.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
        ConflictError: counted events are no longer stored.
    """
    async with checked_core(settings) as core:
        await EventCounter(core.database, core.event_log).rebuild()
