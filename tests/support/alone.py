"""Lets a test that measures time have the machine to itself: no other test of any process runs beside it.

Two locks, so that nobody waits for ever: a test takes its place in the room while it holds the gate, and a test that is
to be alone keeps the gate until the room is empty.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_RUN = os.environ.get("PYTEST_XDIST_TESTRUNUID")


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "alone: runs while no other test does, for it measures time")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for the turn outside of the test's own time limit."""
    if _RUN is None:
        return (yield)
    with _locked("gate", fcntl.LOCK_EX) as gate:
        is_alone = item.get_closest_marker("alone") is not None
        with _locked("room", fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH):
            fcntl.flock(gate, fcntl.LOCK_UN)
            return (yield)


@contextmanager
def _locked(name: str, kind: int) -> Iterator[int]:
    path = Path(tempfile.gettempdir()) / f"grandstand-tests-{_RUN}.{name}"
    handle = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, kind)
        yield handle
    finally:
        os.close(handle)
