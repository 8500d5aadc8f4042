"""A deployment that has lived, with a player in it whom nothing is spared: the one to be erased."""

import pytest

from tests.invariants import busy as busy_module
from tests.privacy.life import Life, live
from tests.support.core import core, core_database_url
from tests.tournaments.cups import Cups, cups, wall_clock

__all__ = ["core", "core_database_url", "cups", "life", "wall_clock"]

WINNER, REMOVED, UNBANNED, BANNED = 6, 0, 3, 7


@pytest.fixture(params=[WINNER, REMOVED, UNBANNED, BANNED], ids=["winner", "removed", "unbanned", "banned"])
async def life(request: pytest.FixtureRequest, cups: Cups, monkeypatch: pytest.MonkeyPatch) -> Life:
    """The deployment, with the player in one of several places."""
    return await live(cups, monkeypatch, busy_module, request.param)
