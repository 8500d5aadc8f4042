"""The core on real engines, for the tests of this folder."""

import pytest

pytest.register_assert_rewrite("tests.support.core", "tests.support.world", "tests.support.driver")

from tests.support.core import core, core_database_url  # noqa: E402 - its assertions are rewritten first

__all__ = ["core", "core_database_url"]
