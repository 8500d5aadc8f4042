"""Posts at fixed times, whether or not earlier ones have been answered; latencies count from when each was due."""

import asyncio
import time

from bench.suite import ACCEPTED, MeasuredWrongError, Suite
from bench.workload import Workload, batches, body_of
from grandstand.lab.http_connection import HttpClient, request_of

_MADE_AT_ONCE = 500
"""Events made in one go: while they are, nothing is sent."""


class PacedPosts:
    """Posts `events_per_second` in bodies of `batch_size` events until `over` is set, over so many connections.

    `latencies` has (due at, milliseconds until acknowledged).
    """

    def __init__(self, suite: Suite, events_per_second: int, batch_size: int, connections: int) -> None:
        self.latencies: list[tuple[float, float]] = []
        self.over = asyncio.Event()
        self._suite = suite
        self._events_per_second = events_per_second
        self._batch_size = batch_size
        self._connections = connections
        self._idle: asyncio.Queue[HttpClient] = asyncio.Queue()

    async def run(self) -> None:
        """Post until it is over.

        Raises:
            MeasuredWrongError: a post was not accepted.
        """
        deployment = self._suite.deployment
        clients = [await HttpClient.open(deployment.host, deployment.port) for _ in range(self._connections)]
        for client in clients:
            self._idle.put_nowait(client)
        workload = Workload(self._suite.plan.players, self._suite.next_seed())
        pause_seconds = self._batch_size / self._events_per_second
        began_at, number = time.monotonic(), 0
        try:
            async with asyncio.TaskGroup() as group:
                while not self.over.is_set():
                    for batch in batches(workload.events(_MADE_AT_ONCE), self._batch_size):
                        due_at = began_at + number * pause_seconds
                        number += 1
                        request = request_of("POST", "/api/events", key=deployment.server_key, body=body_of(batch))
                        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                        group.create_task(self._send(request, due_at))
                        if self.over.is_set():
                            break
        finally:
            for client in clients:
                client.close()

    async def _send(self, request: bytes, due_at: float) -> None:
        client = await self._idle.get()
        try:
            status, _ = await client.ask(request)
            if status != ACCEPTED:
                raise MeasuredWrongError(f"A post of {self._batch_size} got {status}.")
            self.latencies.append((due_at, (time.monotonic() - due_at) * 1000))
        finally:
            self._idle.put_nowait(client)
