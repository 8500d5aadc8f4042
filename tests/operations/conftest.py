"""The core on real engines, for the tests of this folder."""

from tests.support.core import core

__all__ = ["core"]
