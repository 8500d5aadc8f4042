"""Processes of one deployment on the session's engines, and whole trees that a test breaks."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.faults.load import client_of
from tests.processes.conftest import data_dir, up
from tests.support.leaks import check_files
from tests.support.server import Keys
from tests.support.waiting import eventually

__all__ = ["data_dir", "up"]


@dataclass
class Processes:
    """Runs `grandstand serve` in roles on one database and key prefix; HTTP listens on a socket of the test's."""

    environment: dict[str, str]
    folder: Path
    keys: Keys = field(default_factory=Keys)
    running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self, *roles: str, **settings: object) -> "subprocess.Popen[bytes]":
        """Start a process; `settings` are those of Grandstand, in lower case."""
        arguments = [part for role in roles for part in ("--role", role)]
        is_http = bool({"ingest", "api"} & set(roles))
        if is_http:
            arguments += ["--fd", str(self._listener.fileno())]
        given = {f"GRANDSTAND_{name.upper()}": str(value) for name, value in settings.items()}
        with (self.folder / f"{'-'.join(roles)}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "grandstand", "serve", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[self._listener.fileno()] if is_http else [],
                env={**os.environ, **self.environment, **self.keys.environment(), **given},
            )
        self.running.append(process)
        if is_http:
            eventually(lambda: httpx.get(f"{self.url}/api/health/ready", timeout=5).status_code == 200, 30)
        return process

    def log(self, *roles: str) -> str:
        return (self.folder / f"{'-'.join(roles)}.log").read_text()

    def client(self) -> httpx.Client:
        return client_of(self.url, self.keys.server)

    def end(self) -> None:
        for process in self.running:
            process.terminate()
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._listener.close()
        check_files(self.folder.glob("*.log"))


@pytest.fixture
def processes(database_url: str, valkey_url: str, valkey_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    """The processes of a deployment of the test's own."""
    environment = {
        "GRANDSTAND_DATABASE_URL": database_url,
        "GRANDSTAND_VALKEY_URL": valkey_url,
        "GRANDSTAND_VALKEY_PREFIX": valkey_prefix,
    }
    deployment = Processes(environment, tmp_path)
    yield deployment
    deployment.end()
