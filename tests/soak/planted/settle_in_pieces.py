"""Planted bug: the status says settled before standings and prizes are written; the scheduler dies in between, once."""

import os
import signal
from pathlib import Path
from typing import Any

from grandstand.operations.settle_tournament import TournamentSettler

_settle = TournamentSettler.settle
_mark = Path(os.environ["SOAK_CLOCK"]).with_name("died-in-between")


async def _settle_in_pieces(self: TournamentSettler, item: Any, board: Any, ranking_id: int, now: Any) -> int | None:
    if _mark.exists():
        return await _settle(self, item, board, ranking_id, now)
    async with self._database.transaction() as connection:
        await self._tournaments.settle(connection, item, now)
    _mark.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    return None


TournamentSettler.settle = _settle_in_pieces  # type: ignore[method-assign]
