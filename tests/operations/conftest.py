"""The core on real engines, for the tests of this folder."""

from tests.support.core import core, core_database_url

__all__ = ["core", "core_database_url"]
