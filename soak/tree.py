"""The product under test: `grandstand up` in a folder that outlives it, on one port, startable again and again."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import httpx
import psutil

from soak.cluster import ClusteredEngines
from soak.cups import GRACE_SECONDS, SLACK_SECONDS
from soak.engines import ProxiedEngines
from soak.inspection import TAGS
from soak.ports import HeldPort
from soak.proxy import Proxy, to_port
from soak.small_disk import Disk, on_disks_with_copies

Layout = Literal["embedded", "proxied", "disks", "cluster"]
LAYOUTS: tuple[Layout, ...] = ("embedded", "proxied", "disks", "cluster")
"""embedded: the tree runs its engines · proxied: the harness does, and the tree reaches them through proxies ·
disks: the tree runs them, each on a small disk; such a tree cannot be started a second time · cluster: as proxied, with
a Valkey Cluster."""

STARTUP = Path(__file__).with_name("startup")
CLUSTER_STREAMS = len(TAGS)
"""Event streams on a cluster: one on each shard, so that every node is that of one."""

START_TIMEOUT_SECONDS = 90.0
STOP_TIMEOUT_SECONDS = 90.0
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 30


class TreeError(Exception):
    """The tree did not start or stop; the message has its last words."""


class Tree:
    """One deployment. `url` leads through a proxy, `http`, in front of its port."""

    http: Proxy

    def __init__(
        self, layout: Layout, *, planted: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self.layout = layout
        self.keep = False
        self.folder = Path(tempfile.mkdtemp(prefix="grandstand-soak-"))
        self.folder.chmod(0o755)
        self.data_dir = self.folder / "data"
        self.log = self.folder / "up.log"
        self.server_key = f"gs_server_{secrets.token_hex(16)}"
        # Its own while the tree is down, too.
        self._held_port = HeldPort()
        self.port = self._held_port.number
        self.engines: ProxiedEngines | None = None
        self._strangers: set[int] = set()
        if layout == "proxied":
            self.engines = ProxiedEngines(self.folder / "engines")
        elif layout == "cluster":
            self.engines = ClusteredEngines(self.folder / "engines")
        self.streams = CLUSTER_STREAMS if layout == "cluster" else 1
        self._prefix: list[str] = []
        self._clock = self.folder / "clock"
        self._clock.write_bytes(struct.pack("d", 0.0))
        self._environment = {**(environment or {}), **({"SOAK_PLANTED": str(planted)} if planted else {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._known: dict[int, psutil.Process] = {}

    async def open(self) -> None:
        """Start everything for the first time.

        Raises:
            TreeError: it does not start.
        """
        self.http = Proxy(to_port(lambda: self.port))
        await self.http.start()
        if self.engines is not None:
            # Whoever runs this process may have engines of its own in it, which no fault may strike.
            self._strangers = {child.pid for child in psutil.Process().children()}
            await self.engines.start()
        await self.start()
        if self.layout == "disks":
            # The folders have to be there before disks can take their places.
            await self.stop()
            self._prefix = on_disks_with_copies([self.data_dir / engine for engine in ("postgres", "valkey")])
            await self.start()

    async def close(self) -> None:
        """End everything; the folder stays when `keep` is set."""
        try:
            await self.stop()
        except TreeError:
            self.kill()
        if self.engines is not None:
            await self.engines.stop()
        await self.http.stop()
        self._held_port.close()
        for process in self._known.values():
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where clients connect: the proxy."""
        return f"http://127.0.0.1:{self.http.port}"

    @property
    def state(self) -> dict[str, Any]:
        """What `run/state.json` says; empty when there is none."""
        try:
            found: dict[str, Any] = json.loads((self.data_dir / "run" / "state.json").read_text())
            return found
        except (OSError, ValueError):
            return {}

    @property
    def engine_urls(self) -> tuple[str, str]:
        """PostgreSQL and Valkey, past every proxy."""
        if self.engines is not None:
            return self.engines.postgres_url, self.engines.valkey_url
        return self.state["database_url"], self.state["valkey_url"]

    async def start(self) -> None:
        """Start `grandstand up`, whose earlier run has ended, and wait until it is ready."""
        if self._process is not None:
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_SECONDS)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GRANDSTAND_")}
        environment |= {
            "GRANDSTAND_SERVER_KEY": self.server_key,
            "GRANDSTAND_ADMIN_KEY": f"gs_admin_{secrets.token_hex(16)}",
            # Set, so that none is shown in the log that tests search for keys.
            "GRANDSTAND_CLIENT_KEY": f"gs_client_{secrets.token_hex(16)}",
            "GRANDSTAND_STOP_WITH_PARENT": "1",
            "GRANDSTAND_LOG_FORMAT": "json",
            # Short, so that a run of seconds meets what else takes a minute.
            "GRANDSTAND_RECLAIM_IDLE_SECONDS": "1",
            "GRANDSTAND_TOURNAMENT_GRACE_SECONDS": str(GRACE_SECONDS),
            "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": str(SLACK_SECONDS),
            "GRANDSTAND_EVENT_STREAMS": str(self.streams),
            "PYTHONPATH": os.pathsep.join([str(STARTUP), *filter(None, [environment.get("PYTHONPATH")])]),
            "SOAK_CLOCK": str(self._clock),
            **(self.engines.environment() if self.engines is not None else {}),
            **self._environment,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._prefix,
                    *(sys.executable, "-m", "grandstand", "up", "--data-dir", str(self.data_dir)),
                    *("--port", str(self.port), "--workers", "2"),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self._wait_until_ready()
        self.processes()

    async def stop(self) -> None:
        """End the tree with SIGTERM."""
        self.processes()
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise TreeError(f"SIGTERM did not end the tree within {STOP_TIMEOUT_SECONDS:.0f} s") from None

    def kill(self) -> None:
        """`kill -9` for every process of the tree, the supervisor first."""
        if self._process is None:
            return
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.wait()

    def processes(self) -> list[psutil.Process]:
        """Return every process of the tree, the supervisor first."""
        found = []
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(psutil.Error):
                top = psutil.Process(self._process.pid)
                found = [top, *top.children(recursive=True)]
        self._known.update({process.pid: process for process in found})
        return found

    def named(self, role: str) -> list[psutil.Process]:
        """Return the processes of a role: http, worker, scheduler, supervisor, postgres, backend, valkey, guardian."""
        mine = self.processes()
        if role == "supervisor":
            return mine[:1]
        if role in ("postgres", "backend", "valkey", "guardian"):
            everything = self._with_engines() if self.engines is not None else mine
            return [process for process in everything if _engine_role(process) == role]
        records = self.state.get("processes", [])
        pids = {record["pid"] for record in records if str(record["name"]).startswith(role)}
        return [process for process in mine if process.pid in pids]

    def _with_engines(self) -> list[psutil.Process]:
        """Return what this process started since its engines began, and all that came of it."""
        found = []
        for child in psutil.Process().children():
            if child.pid not in self._strangers:
                with contextlib.suppress(psutil.Error):
                    found += [child, *child.children(recursive=True)]
        return found

    def disk(self, engine: str) -> Disk:
        """Return the small disk of an engine, postgres or valkey, in the layout that has them."""
        assert self.layout == "disks"
        assert self._process is not None
        return Disk(self._process.pid, self.data_dir / engine)

    def set_clock(self, ahead_seconds: float) -> None:
        """Put the clock of every process of the tree ahead of the true time (negative: behind)."""
        with self._clock.open("r+b") as file:
            file.write(struct.pack("d", ahead_seconds))

    def log_tail(self) -> str:
        """Return the last lines that the tree logged."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    async def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        assert self._process is not None
        async with httpx.AsyncClient(timeout=5) as client:
            while time.monotonic() < deadline:
                if self._process.poll() is not None:
                    raise TreeError(f"`grandstand up` ended with {self._process.returncode}:\n{self.log_tail()}")
                with contextlib.suppress(httpx.HTTPError):
                    answer = await client.get(f"http://127.0.0.1:{self.port}/api/health/ready")
                    if answer.status_code == 200:
                        return
                await asyncio.sleep(_POLL_SECONDS)
        raise TreeError(f"`grandstand up` was not ready in {START_TIMEOUT_SECONDS:.0f} s:\n{self.log_tail()}")


def _engine_role(process: psutil.Process) -> str:
    try:
        name = process.name()
        if name.startswith("postgres"):
            parent = process.parent()
            return "backend" if parent is not None and parent.name().startswith("postgres") else "postgres"
        if name.startswith("valkey"):
            return "valkey"
        return "guardian" if any("guardian.sh" in word for word in process.cmdline()) else ""
    except psutil.Error:
        return ""
