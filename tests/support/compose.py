"""Runs the services of `deploy/compose.yaml` as processes of this machine: the same commands, the same environment.

Engines, addresses and ports are the test's; nothing else differs.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml
from soak.ports import HeldPort

from tests.support.waiting import eventually

COMPOSE = Path(__file__).parents[2] / "deploy/compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
_STOP_SECONDS = 40.0


def substitute(text: str, given: Mapping[str, str]) -> str:
    """Fill `${NAME}`, `${NAME:-default}` and `${NAME:?why}` in, as compose does.

    Raises:
        KeyError: a value that there must be is missing.
    """

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.groups()
        if given.get(name):
            return given[name]
        if kind != "-":
            raise KeyError(f"{name}: {rest}")
        return rest

    return _VARIABLE.sub(value, text)


def read_compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


class Container:
    """One process of one service, on ports that stay its own while it is stopped; `kill` lets them go."""

    def __init__(self, service: Mapping[str, Any], environment: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "grandstand", *service["command"]]
        self._check = service.get("healthcheck", {}).get("test", [])
        self._ports = HeldPort(), HeldPort()
        self.port, self.watch_port = (each.number for each in self._ports)
        self._environment = {
            **os.environ,
            **environment,
            "GRANDSTAND_HOST": "127.0.0.1",
            "GRANDSTAND_PORT": str(self.port),
            "GRANDSTAND_WATCH_PORT": str(self.watch_port),
        }
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def run(self) -> None:
        """Start it and wait for its end, as compose does with what others need completed."""
        self.start()
        assert self.process is not None
        assert self.process.wait(60) == 0, self._log.read_text()

    def wait_until_healthy(self) -> None:
        """Ask what the health check of the compose file asks, until it is answered; `is_healthy` runs it itself."""
        port = self.watch_port if ":9100/" in self._check[-1] else self.port
        path = re.search(r"http://127\.0\.0\.1:\d+(/[\w/]+)", self._check[-1])
        assert path is not None

        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self._log.read_text()
            return httpx.get(f"http://127.0.0.1:{port}{path[1]}", timeout=2).status_code == 200

        eventually(answers, 60)

    def is_healthy(self) -> bool:
        """Run the health check of the compose file, with the ports of this process."""
        kind, program, *arguments = self._check
        assert (kind, program) == ("CMD", "python")
        code = arguments[-1].replace(":8080/", f":{self.port}/").replace(":9100/", f":{self.watch_port}/")
        return subprocess.run([sys.executable, *arguments[:-1], code], capture_output=True, timeout=30).returncode == 0

    def stop(self) -> int:
        """End it as compose does."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for port in self._ports:
            port.close()
