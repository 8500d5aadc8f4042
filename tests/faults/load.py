"""Clients that send events at a steady rate and keep account of every answer.

Each event counts one on the board `ticks`, so the board says what was taken and how often. A request that is not
acknowledged is sent again with the same ids until it is: at the end every event that was ever sent must count once.
"""

import asyncio
import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from tests.support.waiting import eventually

USERS = 50
BATCH = 20
SENDERS = 8
ANSWER_TIMEOUT_SECONDS = 30.0
DEFINITION = {"event_type": "tick", "operator": "count", "field": None}


@dataclass
class Answer:
    """One attempt: what came (a status, or the name of an exception), when it began, how long it took."""

    outcome: str
    at: float
    seconds: float
    attempt: int
    retry_after: str | None = None


@dataclass
class Load:
    """A load on one server; `with` runs it, and `check` compares the board with what was sent."""

    url: str
    credential: str
    events_per_second: float = 500.0
    retry_seconds: float = 0.1
    answers: list[Answer] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._is_abandoned = False
        self._began = time.monotonic()
        self._numbers = itertools.count()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="load", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_abandoned = error is not None
        self._stop.set()
        self._thread.join(ANSWER_TIMEOUT_SECONDS * 2)
        assert not self._thread.is_alive(), "clients hang"

    @property
    def acknowledged(self) -> int:
        return BATCH * sum(answer.outcome == "202" for answer in self.answers)

    def failures(self, attempts: int = 1) -> list[Answer]:
        """Attempts that failed, the last of so many for one request: with 2 those of clients that try twice."""
        return [answer for answer in self.answers if answer.outcome != "202" and answer.attempt >= attempts]

    def go_on(self, events: int = 200, seconds: float = 30.0) -> None:
        """Wait until so many more events are acknowledged."""
        before = self.acknowledged
        eventually(lambda: self.acknowledged >= before + events, seconds, "events are acknowledged")

    def check(self, client: httpx.Client, seconds: float = 30.0) -> None:
        """Every event sent counts once."""
        wanted = dict(self.sent)
        counted: dict[str, int] = {}

        def is_right() -> bool:
            page = client.get("/api/leaderboards/ticks", params={"limit": 1000}).raise_for_status().json()
            counted.clear()
            counted.update({entry["user_id"]: entry["score"] for entry in page["entries"]})
            return counted == wanted

        try:
            eventually(is_right, seconds)
        except AssertionError:
            wrong = {user: (counted.get(user), count) for user, count in wanted.items() if counted.get(user) != count}
            total = sum(counted.values()), sum(wanted.values())
            raise AssertionError(f"counted, sent: {total}; {len(wrong)} users differ: {wrong}") from None

    async def _run(self) -> None:
        headers = {"Authorization": f"Bearer {self.credential}"}
        limits = httpx.Limits(max_connections=SENDERS, max_keepalive_connections=SENDERS)
        async with httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=ANSWER_TIMEOUT_SECONDS, trust_env=False, limits=limits
        ) as client:
            await asyncio.gather(*(self._send(client) for _ in range(SENDERS)))

    async def _send(self, client: httpx.AsyncClient) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            wait_seconds = self._began + number * BATCH / self.events_per_second - time.monotonic()
            if wait_seconds > 0:
                await asyncio.sleep(wait_seconds)
            users = [f"u{(number * BATCH + each) % USERS}" for each in range(BATCH)]
            events = [{"event_type": "tick", "user_id": user, "id": str(uuid4())} for user in users]
            self.sent.update(users)
            attempt = 1
            while not await self._post(client, events, attempt) and not self._is_abandoned:
                attempt += 1
                await asyncio.sleep(self.retry_seconds)

    async def _post(self, client: httpx.AsyncClient, events: list[dict[str, Any]], attempt: int) -> bool:
        began = time.monotonic()
        retry_after = None
        try:
            response = await client.post("/api/events", json=events)
            outcome, retry_after = str(response.status_code), response.headers.get("retry-after")
            assert outcome != "202" or response.json()["accepted"] == len(events)
        except httpx.TransportError as error:
            outcome = type(error).__name__
        self.answers.append(Answer(outcome, began, time.monotonic() - began, attempt, retry_after))
        return outcome == "202"


def client_of(url: str, key: str) -> httpx.Client:
    """A client with a key, for a test's own questions."""
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)


def define_ticks(client: httpx.Client) -> None:
    """Make the board that counts."""
    client.put("/api/leaderboards/ticks", json=DEFINITION).raise_for_status()


def depth(client: httpx.Client) -> int | None:
    found: int | None = client.get("/api/health").json()["stream"]["depth"]
    return found
