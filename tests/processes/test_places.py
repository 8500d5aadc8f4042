"""Data folders in awkward places, and users other than the one who runs the tests."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from grandstand.embedded.data_folder import is_in_use
from grandstand.supervisor.state import read_state
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually

Up = Callable[..., Server]


def is_ready(server: Server) -> bool:
    return httpx.get(f"{server.url}/api/health/ready").status_code == 200


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_closed_parent_stays_closed_and_so_does_everything_inside(up: Up, data_dir: Path) -> None:
    assert mode_of(data_dir.parent) == 0o700
    server = up()
    assert is_ready(server)
    assert mode_of(data_dir.parent) == 0o700
    for folder in (data_dir, *(data_dir / name for name in ("postgres", "valkey", "run", "logs"))):
        assert mode_of(folder) == 0o700, folder
    assert mode_of(data_dir / "run" / "state.json") == 0o600
    if os.geteuid() == 0:
        for words in ("postgres -D", "valkey-server"):
            assert all(process.uids().effective != 0 for process in server.named(words)), words


def test_the_state_leads_other_commands_to_a_running_tree(up: Up, data_dir: Path) -> None:
    assert read_state(data_dir) is None
    server = up()
    state = read_state(data_dir)
    assert state is not None
    assert is_in_use(data_dir)
    assert (state.pid, state.url) == (server.pid, server.url)
    assert {"http-1", "worker-1", "worker-2", "scheduler"} <= {record.name for record in state.processes}
    assert server.stop() == 0
    assert not is_in_use(data_dir)


@pytest.mark.parametrize(
    "name",
    ["with space, comma and 'quotes' \"both\"", "ünï & 100% #?", "deep/" + "very-long-name-" * 8],
    ids=["quotes", "url", "longer than a socket's path"],
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


def test_an_initdb_that_was_killed_leaves_nothing_in_the_way(up: Up, data_dir: Path) -> None:
    interrupted = up(wait=False)
    half_made = eventually(
        lambda: [path for path in data_dir.glob("postgres.new-*/base") if path.exists()], what="initdb is at work"
    )
    interrupted.kill_all()
    assert half_made
    assert not (data_dir / "postgres").exists()
    assert is_ready(up())
    assert list(data_dir.glob("postgres.new-*")) == []


def test_a_stale_pid_file_that_names_a_living_process_does_no_harm(up: Up, data_dir: Path) -> None:
    first = up()
    pid_file = data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    first.kill_all()
    # The pid is reused: by a process of the same user, which PostgreSQL by itself would take for its own.
    with _sleeper(data_dir.stat().st_uid) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert is_ready(up())
        assert stranger.poll() is None


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
        [*_ordinary_user_prefix(), sys.executable, "-m", "grandstand", "up", "--data-dir", str(data_dir)],
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


def _sleeper(uid: int) -> subprocess.Popen[bytes]:
    options = {"user": uid} if os.geteuid() == 0 else {}
    return _EndedPopen(["sleep", "600"], **options)


class _EndedPopen(subprocess.Popen):
    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        assert not psutil.pid_exists(self.pid)
