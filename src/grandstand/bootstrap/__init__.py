"""The only place that builds things: pools, stores, operations and loops, wired into the roles of a process."""

import asyncio
import socket
from collections.abc import Sequence

from grandstand.bootstrap.core import EngineUnreachableError
from grandstand.bootstrap.diagnosing import diagnose
from grandstand.bootstrap.managing_keys import with_keys
from grandstand.bootstrap.managing_operators import with_operators
from grandstand.bootstrap.rebuilding import rebuild_boards, rebuild_rollups
from grandstand.bootstrap.replaying import replay_board
from grandstand.bootstrap.setup import check_engines, ensure_first_keys, migrate
from grandstand.bootstrap.verifying import verify
from grandstand.settings import Role, Settings

__all__ = [
    "EngineUnreachableError",
    "check_engines",
    "diagnose",
    "ensure_first_keys",
    "migrate",
    "rebuild_boards",
    "rebuild_rollups",
    "replay_board",
    "run_roles",
    "verify",
    "with_keys",
    "with_operators",
]


async def run_roles(
    settings: Settings,
    roles: Sequence[Role],
    listen: socket.socket | None,
    stop: asyncio.Event,
    *,
    waits_for_engines: bool = False,
) -> None:
    """Run the roles of this process until `stop` is set; see `bootstrap.roles`.

    Raises:
        EngineUnreachableError: an engine is missing, out of reach at the start, or of another schema version.
    """
    # Imported here: the supervisor needs the rest of this package, but never the HTTP stack.
    from grandstand.bootstrap import roles as role_runner

    await role_runner.run_roles(settings, roles, listen, stop, waits_for_engines=waits_for_engines)
