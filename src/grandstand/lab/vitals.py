"""What a run costs the server: processor and memory by kind of process, how much waits, and for how long."""

import asyncio
import contextlib
import time
from collections import defaultdict
from dataclasses import dataclass, field

import msgspec
import psutil

from grandstand.lab.http_connection import HttpClient, body_in, request_of

INTERVAL_SECONDS = 1.0
_MB = 1_048_576


class _Stream(msgspec.Struct):
    depth: int | None
    lag_seconds: float | None


class _Health(msgspec.Struct):
    stream: _Stream


_decode_health = msgspec.json.Decoder(_Health).decode


class Sample(msgspec.Struct):
    """One look. `cores` and `memory_mb` by kind of process; empty for a server that is not ours."""

    at_seconds: float
    depth: int | None
    lag_seconds: float | None
    machine_share: float
    cores: dict[str, float]
    memory_mb: dict[str, float]


@dataclass
class Vitals:
    """Looks at a server until cancelled. `root_pid` is the top process of one that runs here."""

    host: str
    port: int
    key: str
    root_pid: int | None = None
    names: dict[int, str] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)

    async def watch(self) -> None:
        """Take a sample a second."""
        client: HttpClient | None = None
        request = request_of("GET", "/api/health", key=self.key)
        began_at = before_at = time.monotonic()
        before = self._processor_seconds()
        psutil.cpu_percent()
        try:
            while True:
                await asyncio.sleep(INTERVAL_SECONDS)
                depth = lag_seconds = None
                with contextlib.suppress(OSError, ValueError, TimeoutError):
                    client = client or await HttpClient.open(self.host, self.port)
                    async with asyncio.timeout(5):
                        status, answer = await client.ask(request)
                    if status == 200:
                        stream = _decode_health(body_in(answer)).stream
                        depth, lag_seconds = stream.depth, stream.lag_seconds
                now, after = time.monotonic(), self._processor_seconds()
                cores = {name: (after[name] - before.get(name, 0.0)) / (now - before_at) for name in after}
                self.samples.append(
                    Sample(
                        round(now - began_at, 2), depth, lag_seconds, psutil.cpu_percent() / 100,
                        {name: round(max(0.0, used), 3) for name, used in cores.items()},
                        await asyncio.to_thread(self._memory_mb) if len(self.samples) % 5 == 0 else {},
                    )
                )  # fmt: skip
                before, before_at = after, now
        finally:
            if client is not None:
                client.close()

    def _processes(self) -> list[psutil.Process]:
        if self.root_pid is None:
            return []
        with contextlib.suppress(psutil.Error):
            top = psutil.Process(self.root_pid)
            return [top, *top.children(recursive=True)]
        return []

    def _name(self, process: psutil.Process) -> str:
        if process.pid == self.root_pid:
            return "supervisor"
        if process.pid not in self.names:
            self.names[process.pid] = process.name().removesuffix("-server")
        return self.names[process.pid]

    def _processor_seconds(self) -> dict[str, float]:
        used: defaultdict[str, float] = defaultdict(float)
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                used[self._name(process)] += times.user + times.system
        return dict(used)

    def _memory_mb(self) -> dict[str, float]:
        held: defaultdict[str, float] = defaultdict(float)
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                full = process.memory_full_info()
                held[self._name(process)] += (getattr(full, "pss", 0) or full.rss) / _MB
        return {name: round(megabytes, 1) for name, megabytes in held.items()}
