"""A deployment with boards of all kinds and tournaments, for the tests of this folder."""

import pytest

from tests.invariants.busy import Busy, build
from tests.support.core import core, core_database_url
from tests.tournaments.cups import Cups, cups, wall_clock

__all__ = ["busy", "core", "core_database_url", "cups", "wall_clock"]


@pytest.fixture
async def busy(cups: Cups) -> Busy:
    return await build(cups)
