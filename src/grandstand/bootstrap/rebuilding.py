"""One rebuild, of rollups or of rank indexes, in a process of its own."""

from collections.abc import Callable, Sequence

from valkey.exceptions import ValkeyError

from grandstand.bootstrap.core import EngineUnreachableError, checked_core
from grandstand.domain.errors import first_line
from grandstand.operations.count_events import EventCounter
from grandstand.operations.rebuild_boards import BoardRebuilder, Rebuilt
from grandstand.operations.rebuild_ranking import RankingRebuilder
from grandstand.settings import Settings


async def rebuild_rollups(settings: Settings) -> None:
    """Count all stored events anew; see `EventCounter.rebuild`.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
        ConflictError: counted events are no longer stored.
    """
    async with checked_core(settings) as core:
        await EventCounter(core.database, core.event_log).rebuild()


async def rebuild_boards(
    settings: Settings, keys: Sequence[str] | None, on_progress: Callable[[Rebuilt], None]
) -> Rebuilt:
    """Make rank indexes anew; see `BoardRebuilder.rebuild`.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
        NotFoundError: there is no such board.
    """
    async with checked_core(settings) as core:
        rebuilder = RankingRebuilder(core.database, core.rankings, core.entries, core.index)
        boards = BoardRebuilder(core.database, core.catalog, core.rankings, core.index, core.changes, rebuilder)
        try:
            return await boards.rebuild(keys, on_progress)
        except (ValkeyError, OSError) as error:
            raise EngineUnreachableError(f"Valkey cannot be reached: {first_line(error)}.") from error
