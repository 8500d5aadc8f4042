"""What the tests of the import share."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.importing.stub import Stub, serving

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server that answers as the test says."""
    with serving() as server:
        yield server


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a command that keeps its progress in this test's folder."""
    return {
        **os.environ,
        "GRANDSTAND_SERVER_KEY": "gs_server_tests-0123456789abcdef",
        "GRANDSTAND_STATE_DIR": str(tmp_path / "state"),
    }


@pytest.fixture
def run_import(environment: dict[str, str]) -> Run:
    """Run `grandstand import` with these arguments and wait for its end."""

    def run(*arguments: str | Path, stdin: bytes | None = None, **variables: str) -> "subprocess.CompletedProcess[str]":
        result = subprocess.run(
            [sys.executable, "-m", "grandstand", "import", *map(str, arguments)],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
            env=environment | variables,
            timeout=120,
        )
        return subprocess.CompletedProcess(
            result.args, result.returncode, result.stdout.decode(), result.stderr.decode()
        )

    return run
