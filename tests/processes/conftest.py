"""Servers that a test starts and breaks itself."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, end, start_up


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder that does not exist yet. Its parent is closed to other users, as a home often is."""
    parent = Path(tempfile.mkdtemp(prefix="grandstand-test-"))
    yield parent / "data"
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def up(data_dir: Path) -> Iterator[Callable[..., Server]]:
    """Start a small `grandstand up` in the test's data folder (or another); everything ends with the test."""
    started: list[Server] = []

    def start(*arguments: str, folder: Path = data_dir, **options: object) -> Server:
        server = start_up(folder, "--workers", "1", *arguments, **options)
        started.append(server)
        return server

    yield start
    for server in started:
        end(server)
