"""The product under test: a complete `grandstand up` with engines of its own, in a folder that is gone afterwards."""

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from grandstand.lab.http_connection import HttpClient, request_of
from grandstand.settings import ENV_PREFIX
from grandstand.supervisor.state import State, read_state

GRACE_SECONDS = 1
SLACK_SECONDS = 1.0
SETTLED_AFTER_SECONDS = GRACE_SECONDS + SLACK_SECONDS
"""How long after a tournament's end its settlement is due, at the earliest."""

_START_TIMEOUT_SECONDS = 120.0
_STOP_TIMEOUT_SECONDS = 60.0
_POLL_SECONDS = 0.05
_LOG_LINES_SHOWN = 20


class DeploymentError(Exception):
    """The product did not start; the message has the last lines that it said."""


class Deployment:
    """One running deployment: where it is reached and what it consists of. Use it as an async context manager.

    With a `folder` of the caller's its data stay there; without one they are gone afterwards.
    """

    host: str
    port: int
    state: State

    def __init__(self, workers: int, http_processes: int = 1, folder: Path | None = None) -> None:
        self.workers = workers
        self.http_processes = http_processes
        self.server_key = f"gs_server_{secrets.token_hex(16)}"
        self._is_kept = folder is not None
        self._folder = folder or Path(tempfile.mkdtemp(prefix="grandstand-bench-"))
        self.data_dir = self._folder / "data"
        self._log = self._folder / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> "Deployment":
        # Settings of the caller's shell would measure something else than what a fresh user gets.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        environment |= {
            "GRANDSTAND_SERVER_KEY": self.server_key,
            "GRANDSTAND_ADMIN_KEY": f"gs_admin_{secrets.token_hex(16)}",
            "GRANDSTAND_CLIENT_KEY": f"gs_client_{secrets.token_hex(16)}",
            "GRANDSTAND_HTTP_PROCESSES": str(self.http_processes),
            "GRANDSTAND_STOP_WITH_PARENT": "1",
            "GRANDSTAND_LOG_LEVEL": "warning",
            "GRANDSTAND_TOURNAMENT_GRACE_SECONDS": str(GRACE_SECONDS),
            "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": str(SLACK_SECONDS),
            # Every request comes from this machine: an address without a limit, which is counted all the same.
            "GRANDSTAND_RATE_LIMIT_ANONYMOUS_REQUESTS": "1000000000",
        }
        command = [sys.executable, "-m", "grandstand", "up", "--data-dir", str(self.data_dir), "--port", "0"]
        with self._log.open("wb") as log:
            # Milliseconds, before anything else goes on.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                [*command, "--workers", str(self.workers)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            await self._wait_until_ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    def log_tail(self) -> str:
        """Return the last lines that the product logged (warnings and worse)."""
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def pids_of(self, prefix: str) -> list[int]:
        """Return the processes whose name in the tree begins so: `worker`, `http`, `scheduler`."""
        pids = [record.pid for record in self.state.processes if record.name.startswith(prefix)]
        if not pids:
            raise DeploymentError(f"The tree has no process named {prefix}.")
        return pids

    def names(self) -> dict[int, str]:
        """Return the kind of each process of the tree by its id, as it is now."""
        state = read_state(self.data_dir) or self.state
        return {record.pid: record.name.rpartition("-")[0] or record.name for record in state.processes}

    @property
    def supervisor_pid(self) -> int:
        """Process id of `grandstand up`."""
        return self.state.pid

    async def _wait_until_ready(self) -> None:
        if self._process is None:
            raise DeploymentError("It was not started.")
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise DeploymentError(f"`grandstand up` ended with {self._process.returncode}:\n{self.log_tail()}")
            if await self._is_ready():
                return
            await asyncio.sleep(_POLL_SECONDS)
        raise DeploymentError(f"`grandstand up` was not ready in {_START_TIMEOUT_SECONDS:.0f} s:\n{self.log_tail()}")

    async def _is_ready(self) -> bool:
        state = read_state(self.data_dir)
        if state is None or not state.url:
            return False
        parts = urlsplit(state.url)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 0
        try:
            client = await HttpClient.open(self.host, self.port)
        except OSError:
            return False
        try:
            async with asyncio.timeout(5):
                status, _ = await client.ask(request_of("GET", "/api/health/ready"))
        except (OSError, TimeoutError):
            return False
        finally:
            client.close()
        # Read anew: the question may have waited while most of the tree was still being recorded.
        state = read_state(self.data_dir)
        if status != 200 or state is None:
            return False
        self.state = state
        return True

    async def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                await asyncio.to_thread(self._process.wait, _STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if not self._is_kept:
            shutil.rmtree(self._folder, ignore_errors=True)
