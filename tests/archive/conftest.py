"""The core on real engines and a folder for archives, for the tests of this folder."""

from pathlib import Path

import pytest

from tests.archive.year import Archive
from tests.support.core import Core, core, core_database_url

__all__ = ["archive", "core", "core_database_url"]


@pytest.fixture
def archive(core: Core, tmp_path: Path) -> Archive:
    return Archive(core, str(tmp_path / "archive"))
