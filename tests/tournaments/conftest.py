"""Tournaments on real engines, for the tests of this folder."""

from tests.support.core import core, core_database_url
from tests.tournaments.cups import cups, wall_clock

__all__ = ["core", "core_database_url", "cups", "wall_clock"]
