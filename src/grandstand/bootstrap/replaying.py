"""One replay of a board, in a process of its own: it may take long, and the servers' connections are not for it."""

from collections.abc import Callable

from valkey.exceptions import ValkeyError

from grandstand.bootstrap.core import EngineUnreachableError, checked_core
from grandstand.domain.errors import first_line
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.operations.audit import Origin, acting_as
from grandstand.operations.replay_leaderboard import Replay
from grandstand.settings import Settings


async def replay_board(
    settings: Settings,
    key: str,
    definition: LeaderboardDefinition | None,
    *,
    dry_run: bool,
    on_events: Callable[[int], None],
) -> Replay:
    """Recompute a board from the stored events; see `LeaderboardReplayer.replay`. Ends cleanly when it is cancelled.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
        NotFoundError, ConflictError: there is no such board, or it cannot be replayed now.
    """
    async with checked_core(settings) as core:
        try:
            with acting_as(Origin("cli")):
                return await core.replayer().replay(key, definition, dry_run=dry_run, on_events=on_events)
        except (ValkeyError, OSError) as error:
            raise EngineUnreachableError(f"Valkey cannot be reached: {first_line(error)}.") from error
