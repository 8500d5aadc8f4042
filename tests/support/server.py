"""A complete `grandstand up` for tests, with known keys, on a free port, in a folder of its own."""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from tests.support.leaks import check_files
from tests.support.waiting import eventually

READY = re.compile(r"is ready: (https?://\S+)")
START_TIMEOUT_SECONDS = 180.0
STOP_TIMEOUT_SECONDS = 40.0


@dataclass(frozen=True)
class Keys:
    admin: str = "gs_admin_tests-0123456789abcdef"
    server: str = "gs_server_tests-0123456789abcdef"
    client: str = "gs_client_tests-0123456789abcdef"

    def environment(self) -> dict[str, str]:
        return {
            "GRANDSTAND_ADMIN_KEY": self.admin,
            "GRANDSTAND_SERVER_KEY": self.server,
            "GRANDSTAND_CLIENT_KEY": self.client,
        }


@dataclass
class Server:
    """A running `grandstand up`; `stop` or `kill_all` ends it."""

    data_dir: Path
    keys: Keys
    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path
    url: str = ""
    _known: dict[int, psutil.Process] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        return self.stdout.read_text()

    @property
    def log(self) -> str:
        return self.stderr.read_text()

    def processes(self) -> list[psutil.Process]:
        """Every process of the tree: the supervisor, engines with their guardians and backends, children."""
        found = []
        try:
            top = psutil.Process(self.pid)
            found = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            pass
        self._known.update({process.pid: process for process in found})
        return found

    def named(self, words: str) -> list[psutil.Process]:
        """Those whose command line holds the words."""
        found = []
        for process in self.processes():
            try:
                if words in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def survivors(self) -> list[psutil.Process]:
        """Of all processes ever seen by `processes`, those that still run."""
        return [process for process in self._known.values() if is_running(process)]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal to the supervisor and return its exit code."""
        self.processes()
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT_SECONDS)

    def kill_all(self) -> None:
        """`kill -9` for every process, supervisor first."""
        for process in self.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait(STOP_TIMEOUT_SECONDS)
        eventually(lambda: not self.survivors(), what="the killed processes are gone")


def port_to_keep() -> int:
    """A free port that no client of this machine is given: for a server that is to come back to it."""
    try:
        first_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        first_of_clients = 32_768
    while True:
        port = random.randrange(min(20_000, first_of_clients - 1), first_of_clients)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def start_up(
    data_dir: Path,
    *arguments: str,
    keys: Keys | None = None,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    wait: bool = True,
) -> Server:
    """Start `grandstand up` and wait until it says that it is ready.

    Raises:
        AssertionError: it ended, or was not ready in time; the message has what it said.
    """
    keys = keys or Keys()
    outputs = Path(tempfile.mkdtemp(prefix="grandstand-output-"))
    with (outputs / "stdout").open("wb") as stdout, (outputs / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "grandstand", "up", "--data-dir", str(data_dir), "--port", "0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **keys.environment(), **(environment or {})},
            start_new_session=True,
        )
    server = Server(data_dir, keys, process, outputs / "stdout", outputs / "stderr")
    if wait:
        try:
            wait_until_ready(server)
        except BaseException:
            end(server)
            raise
    return server


def wait_until_ready(server: Server) -> None:
    def said_ready() -> bool:
        found = READY.search(server.output)
        server.url = found[1] if found else ""
        return found is not None or server.process.poll() is not None

    try:
        eventually(said_ready, START_TIMEOUT_SECONDS)
    except AssertionError:
        server.kill_all()
        raise AssertionError(f"not ready in time:\n{server.output}\n{server.log}") from None
    assert server.url, f"ended with {server.process.poll()}:\n{server.output}\n{server.log}"
    server.processes()


def end(server: Server) -> None:
    """Make sure that nothing of it runs any more, whatever the test did, and remove what it said.

    Raises:
        LeakError: it logged a credential.
    """
    if server.process.poll() is None:
        try:
            server.stop()
        except subprocess.TimeoutExpired:
            server.kill_all()
    for process in server.survivors():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended by itself
            process.kill()
    try:
        # What it printed may be the first keys of all, once; what it and its engines log never holds any.
        check_files([server.stderr, *(server.data_dir / "logs").glob("*")])
    finally:
        shutil.rmtree(server.stdout.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def running_server() -> Iterator[Server]:
    """`grandstand up`, shared by the tests of a module: url, keys, pids."""
    parent = Path(tempfile.mkdtemp(prefix="grandstand-server-"))
    server = None
    try:
        server = start_up(parent / "data")
        yield server
    finally:
        if server is not None:
            end(server)
        shutil.rmtree(parent, ignore_errors=True)


def is_running(process: psutil.Process) -> bool:
    """Whether it does anything yet: one that has ended and waits for somebody to hear of it does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
