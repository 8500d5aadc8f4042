"""Data folders in awkward places, and users other than the one who runs the tests."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from grandstand.supervisor.state import read_state
from tests.support.server import Server, end, start_up

Up = Callable[..., Server]


def is_ready(server: Server) -> bool:
    return httpx.get(f"{server.url}/api/health/ready", timeout=30).status_code == 200


@pytest.mark.parametrize(
    "name",
    ["1 spáce & 100% 'quotes' \"both\" #?", "comma, and " + "very-long-name-" * 8],
    ids=["awkward in URLs and settings", "longer than a socket's path"],
)
def test_awkward_names(up: Up, data_dir: Path, name: str) -> None:
    server = up(folder=data_dir.parent / name)
    assert is_ready(server)
    state = read_state(server.data_dir)
    assert state is not None
    assert server.stop() == 0
    assert server.survivors() == []
    if len(name) > 100:
        short = Path(state.valkey_url.removeprefix("unix://").split("?")[0]).parent
        assert not short.is_relative_to(server.data_dir)
        assert not short.exists()


def test_an_ordinary_user(data_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests run as an ordinary user already")
    prefix = _ordinary_user_prefix()
    folder = Path(tempfile.mkdtemp(prefix="grandstand-ordinary-"))
    os.chown(folder, 65534, 65534)
    server = None
    try:
        server = start_up(folder / "data", prefix=prefix, environment={"HOME": str(folder)})
        assert is_ready(server)
        assert {process.uids().effective for process in server.processes()} == {65534}
        assert server.stop(signal.SIGINT) == 0
        assert server.survivors() == []
    finally:
        if server is not None:
            end(server)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_ordinary_user_in_a_closed_folder(data_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can change the user")
    data_dir.parent.chmod(0o755)
    result = subprocess.run(
        [
            *_ordinary_user_prefix(),
            sys.executable,
            "-m",
            "grandstand",
            "up",
            "--data-dir",
            str(data_dir),
            "--port",
            "0",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 3
    assert "may not write" in result.stderr
    assert "Traceback" not in result.stderr


def _ordinary_user_prefix() -> list[str]:
    """A command that becomes an ordinary user; it may read everything where the interpreter lies in a closed home."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    capability = "-all,+dac_read_search"
    reader = [
        *plain,
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}", f"--bounding-set={capability}"),
        "--securebits=+no_setuid_fixup",
    ]
    # The first program still profits from the rights of the one that starts it; what counts is a child's child.
    starts_itself = (
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'grandstand', 'version'], check=True)"
    )
    for prefix in (plain, reader):
        if subprocess.run([*prefix, sys.executable, "-c", starts_itself], capture_output=True).returncode == 0:
            return prefix
    pytest.skip("an ordinary user cannot reach this Python")
