"""A deployment that has lived, with a player in it whom nothing is spared: the one to be erased."""

import pytest

from tests.invariants import busy as busy_module
from tests.privacy.life import Life, live
from tests.support.core import core, core_database_url
from tests.tournaments.cups import Cups, cups, wall_clock

__all__ = ["core", "core_database_url", "cups", "life", "wall_clock"]

PLACES = {"winner": 6, "removed": 0, "unbanned": 3, "banned": 7}


@pytest.fixture(params=list(PLACES))
async def life(request: pytest.FixtureRequest, cups: Cups, monkeypatch: pytest.MonkeyPatch) -> Life:
    """The deployment, with the player in one of several places."""
    return await live(cups, monkeypatch, busy_module, PLACES[request.param])
