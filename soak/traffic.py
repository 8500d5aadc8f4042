"""Drives a workload: requests at a steady rate over several connections, and writes that never give up."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from soak.client import Client, Reply
from soak.cups import Claim
from soak.judge import Request
from soak.outlaws import Sentence
from soak.workload import Read, Reset, Write

CLIENTS = 16
GIVE_UP_SECONDS = 90.0
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4)


class Listener(Protocol):
    """Who hears of requests and replies: a judge."""

    def about_to_send(self, request: Request) -> None:
        """Hear of a request before its first byte leaves."""

    def replied(self, request: Request, reply: Reply) -> None:
        """Hear of one reply."""

    def gave_up(self, request: Request, reply: Reply) -> None:
        """Hear that a write that never gives up was refused for longer than any healing takes."""


@dataclass
class Traffic:
    """The requests of one run. `run` sends until `stop`, then finishes what was begun."""

    client: Client
    judge: Listener
    events_per_second: float
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        """Begin nothing more."""
        self.stopping.set()

    async def run(self, requests: Iterable[Request]) -> None:
        """Send until told to stop; return when every write that does not give up has its reply."""
        queue: asyncio.Queue[Request | None] = asyncio.Queue(CLIENTS)
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._send_all(queue))
            due_at = time.monotonic()
            for request in requests:
                if self.stopping.is_set():
                    break
                await queue.put(request)
                if isinstance(request, Write):
                    # After a time without room the rate goes on as before, without catching up.
                    due_at = max(due_at + len(request.events) / self.events_per_second, time.monotonic() - 0.1)
                    await asyncio.sleep(max(0.0, due_at - time.monotonic()))
            for _ in range(CLIENTS):
                await queue.put(None)

    async def _send_all(self, queue: "asyncio.Queue[Request | None]") -> None:
        while (request := await queue.get()) is not None:
            await self.send(request)

    async def send(self, request: Request) -> None:
        """Send one request, again and again if it is a write that does not give up, and have each reply judged."""
        self.judge.about_to_send(request)
        began_at = time.monotonic()
        for attempt in range(10_000):
            reply = await self._ask(request)
            self.judge.replied(request, reply)
            if reply.status not in (None, 503) or isinstance(request, Read) or not request.persistent:
                return
            if time.monotonic() - began_at > GIVE_UP_SECONDS:
                self.judge.gave_up(request, reply)
                return
            await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])

    async def _ask(self, request: Request) -> Reply:
        if isinstance(request, Claim):
            headers = {"Idempotency-Key": request.key} if request.key else None
            return await self.client.ask("POST", f"/api/prizes/{request.prize_id}/claim", headers=headers)
        if isinstance(request, Sentence):
            path = f"/api/players/{request.outlaw.user_id}/{request.action}"
            return await self.client.ask("POST", path, {"reason": "soak"} if request.action == "ban" else None)
        if isinstance(request, Reset):
            return await self.client.ask("POST", f"/api/leaderboards/{request.board}/reset")
        if isinstance(request, Write):
            path = "/api/events" if request.board is None else f"/api/leaderboards/{request.board}/scores"
            return await self.client.ask("POST", path, request.body)
        path = f"/api/leaderboards/{request.board}"
        if request.kind == "lookup":
            return await self.client.ask("POST", f"{path}/lookup", {"user_ids": list(request.users)})
        if request.kind == "user":
            return await self.client.ask("GET", f"{path}/users/{request.users[0]}")
        if request.kind == "nearby":
            return await self.client.ask("GET", f"{path}/users/{request.users[0]}/nearby")
        query: dict[str, Any] = {"limit": request.limit, "from_rank": request.from_rank}
        if request.segment:
            query["segment"] = request.segment
        return await self.client.ask("GET", path, **query)
