"""One run: boards of its own, requests when they are due, every reply judged, everything read back in the end."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import msgspec
from hdrh.histogram import HdrHistogram

from grandstand.lab.arrivals import Profile, arrivals
from grandstand.lab.auditor import Auditor, Books
from grandstand.lab.http_connection import HttpClient, body_in, request_of
from grandstand.lab.load_model import LoadModel
from grandstand.lab.sender import Sender
from grandstand.lab.traffic import Batch, Read, Traffic
from grandstand.lab.vitals import Vitals

CONNECTIONS_MAX = 256
FOLLOW_EVERY = 20
"""Of the games that are a player's best, each so-many-th is followed until its rank is served."""

POLL_SECONDS = 0.005
VISIBLE_MAX_SECONDS = 30.0
DRAIN_SECONDS = 60.0
_MICROSECONDS_MAX = 120_000_000


class LabError(Exception):
    """A run cannot be made or finished. The message is one sentence for the person who asked for it."""


def histogram() -> HdrHistogram:
    """Return a histogram of microseconds up to two minutes, exact to three digits."""
    return HdrHistogram(1, _MICROSECONDS_MAX, 3)


@dataclass
class Outcome:
    """What came of a run. Histograms in microseconds: `accept`, `visible`, `read` and one a kind of read."""

    seconds: float = 0.0
    events: int = 0
    reads: int = 0
    late: HdrHistogram = field(default_factory=histogram)
    """How late the generator itself was: what it adds to every figure."""
    histograms: dict[str, HdrHistogram] = field(default_factory=dict)
    each_second: list[dict[str, float]] = field(default_factory=list)

    def record(self, name: str, seconds: float) -> None:
        """Record one latency."""
        if name not in self.histograms:
            self.histograms[name] = histogram()
        self.histograms[name].record_value(min(_MICROSECONDS_MAX, max(1, int(seconds * 1e6))))

    def p_ms(self, name: str, percent: float) -> float:
        """Return a percentile in milliseconds; 0 when nothing was recorded."""
        found = self.histograms.get(name)
        return float(found.get_value_at_percentile(percent)) / 1000 if found else 0.0


class Run:
    """One load on one server. `say` is told what happens, for whoever waits."""

    def __init__(self, host: str, port: int, key: str, model: LoadModel, seed: int, say: Callable[[str], None]) -> None:
        self.name = f"lab-{datetime.now(UTC):%Y%m%d%H%M%S}-{seed}"
        self.traffic = Traffic(model, self.name, key, seed)
        self.auditor = Auditor(self.traffic)
        self.outcome = Outcome()
        self._host, self._port, self._key = host, port, key
        self._model = model
        self._random = random.Random(f"arrivals {seed}")  # noqa: S311 - chosen for being the same again
        self._say = say
        self._followed = 0
        self._best_games = 0
        self._following: set[asyncio.Task[None]] = set()
        self._second: dict[str, float] = {}

    async def prepare(self) -> None:
        """Make the board and the tournament of the run.

        Raises:
            LabError: the server refuses.
        """
        board = {"title": self.name, "event_type": self.traffic.game_type, "field": "score", "operator": "best"}
        await self._change("PUT", f"/api/leaderboards/{self.traffic.board}", board, 201)
        now = datetime.now(UTC)
        cup = {
            "id": self.traffic.tournament, "title": self.name, "event_type": self.traffic.game_type, "field": "score",
            "operator": "best", "starts_at": (now - timedelta(minutes=5)).isoformat(),
            "ends_at": (now + timedelta(days=1)).isoformat(),
        }  # fmt: skip
        await self._change("POST", "/api/tournaments", cup, 201)

    async def load(self, profile: Profile, seconds: float, vitals: Vitals) -> None:
        """Send for so long, and wait for every answer."""
        watching = asyncio.create_task(vitals.watch())
        try:
            async with Sender(self._host, self._port, CONNECTIONS_MAX) as sender:
                self._sender = sender
                began_at = time.monotonic()
                due = arrivals(profile, self._model.peak_batches_per_second, seconds, self._random)
                await self._send(due, began_at)
                self.outcome.seconds = time.monotonic() - began_at
                if self._following:
                    await asyncio.wait(self._following, timeout=VISIBLE_MAX_SECONDS)
                if not await sender.drain(DRAIN_SECONDS):
                    self.auditor.find(f"{sender.under_way} requests were never answered")
        finally:
            for task in self._following:
                task.cancel()
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _send(self, due: Iterator[float], began_at: float) -> None:
        told_at = began_at
        at_seconds = next(due, None)
        while at_seconds is not None:
            now = time.monotonic()
            while at_seconds is not None and began_at + at_seconds <= now:
                due_at = began_at + at_seconds
                batch = self.traffic.batch()
                self.outcome.late.record_value(min(_MICROSECONDS_MAX, max(1, int((time.monotonic() - due_at) * 1e6))))
                self._sender.send(batch, batch.request, due_at, self._batch_answered)
                at_seconds = next(due, None)
            if now - told_at >= 1:
                self._tell(now - began_at, now - told_at)
                told_at = now
            await asyncio.sleep(0.001)

    def _batch_answered(self, batch: Batch, status: int, body: bytes, seconds: float) -> None:
        self.outcome.record("accept", seconds)
        if not self.auditor.judge_batch(batch, status, body):
            return
        self.outcome.events += len(batch.event_ids)
        if batch.score is None:
            return
        now = time.monotonic()
        known = self.auditor.seen.get(batch.user_id, -1)
        for read in self.traffic.reads_after(batch.user_id, batch.games, known):
            self._sender.send(read, read.request, now, self._read_answered)
        if batch.score == self.auditor.best.get(batch.user_id):
            self._best_games += 1
            if self._best_games % FOLLOW_EVERY == 0:
                task = asyncio.create_task(self._follow(batch.user_id, batch.score, now - seconds))
                self._following.add(task)
                task.add_done_callback(self._following.discard)

    def _read_answered(self, read: Read, status: int, body: bytes, seconds: float) -> None:
        self.outcome.reads += 1
        self.outcome.record("read", seconds)
        self.outcome.record(f"read_{read.kind}", seconds)
        self.auditor.judge_read(read, status, body)

    async def _follow(self, user_id: str, score: int, since: float) -> None:
        """Ask for a player's rank until the score shows."""
        loop = asyncio.get_running_loop()
        while time.monotonic() - since < VISIBLE_MAX_SECONDS:
            read = self.traffic.rank_read(user_id, -1)
            answer: asyncio.Future[int | None] = loop.create_future()

            def answered(
                asked: Read, status: int, body: bytes, _: float, answer: "asyncio.Future[int | None]" = answer
            ) -> None:
                found = self.auditor.judge_read(asked, status, body)
                if not answer.done():
                    answer.set_result(found)

            self._sender.send(read, read.request, time.monotonic(), answered)
            found = await answer
            if found is not None and found >= score:
                self.outcome.record("visible", time.monotonic() - since)
                return
            await asyncio.sleep(POLL_SECONDS)
        self.outcome.record("visible", VISIBLE_MAX_SECONDS)
        self.auditor.find(f"the score {score} of {user_id} was not visible within {VISIBLE_MAX_SECONDS:.0f} s")

    def _tell(self, at_seconds: float, since_seconds: float) -> None:
        before = self._second
        events, reads = self.outcome.events, self.outcome.reads
        moment = {
            "at_seconds": round(at_seconds, 1),
            "events_per_second": round((events - before.get("events", 0)) / since_seconds),
            "reads_per_second": round((reads - before.get("reads", 0)) / since_seconds),
            "accept_p99_ms": round(self.outcome.p_ms("accept", 99), 1),
            "read_p99_ms": round(self.outcome.p_ms("read", 99), 1),
            "visible_p99_ms": round(self.outcome.p_ms("visible", 99), 1),
        }
        self._second = {"events": events, "reads": reads}
        self.outcome.each_second.append(moment)
        self._say(
            f"{moment['events_per_second']:,.0f} events/s, {moment['reads_per_second']:,.0f} reads/s; p99 in ms: "
            f"accept {moment['accept_p99_ms']}, read {moment['read_p99_ms']}, visible {moment['visible_p99_ms']}"
        )

    async def close(self) -> None:
        """Wait until everything is processed, read it all back, and compare.

        Raises:
            LabError: the server does not answer, or does not come to an end.
        """
        client = await HttpClient.open(self._host, self._port)
        try:
            deadline = time.monotonic() + DRAIN_SECONDS
            while (await self._get(client, "/api/health"))["stream"]["depth"] != 0:
                if time.monotonic() > deadline:
                    raise LabError(f"Events were not processed within {DRAIN_SECONDS:.0f} s.")
                await asyncio.sleep(0.05)
            self._say("reading every event back")
            stored = Books()
            for event_type in (self.traffic.game_type, self.traffic.other_type):
                path = f"/api/events?event_type={event_type}&limit=1000"
                async for event in self._pages(client, path, "events"):
                    event_id = int(event["id"].replace("-", ""), 16)
                    if event_id not in self.auditor.unknown:
                        stored.add(event_id)
            self.auditor.close_events(stored)
            path = f"/api/leaderboards/{self.traffic.board}?limit=1000"
            entries = {entry["user_id"]: entry["score"] async for entry in self._pages(client, path, "entries")}
            self.auditor.close_board(entries)
        finally:
            client.close()

    async def tidy(self) -> None:
        """Delete the run's board and cancel its tournament; its events stay."""
        await self._change("DELETE", f"/api/leaderboards/{self.traffic.board}", None, 204)
        await self._change("POST", f"/api/tournaments/{self.traffic.tournament}/cancel", {}, 200)

    async def _pages(self, client: HttpClient, path: str, name: str) -> Any:
        cursor = ""
        while True:
            page = await self._get(client, path + (f"&cursor={quote(cursor)}" if cursor else ""))
            for item in page[name]:
                yield item
            cursor = page.get("next_cursor") or ""
            if not cursor:
                return

    async def _get(self, client: HttpClient, path: str) -> Any:
        for _ in range(10):
            status, answer = await client.ask(request_of("GET", path, key=self._key))
            if status != 503:
                break
            await asyncio.sleep(0.5)
        if status != 200:
            raise LabError(f"GET {path} was answered with {status}: {body_in(answer)[:200]!r}.")
        return msgspec.json.decode(body_in(answer))

    async def _change(self, method: str, path: str, body: object, expected: int) -> None:
        try:
            client = await HttpClient.open(self._host, self._port)
        except OSError as error:
            raise LabError(f"The server at {self._host}:{self._port} cannot be reached: {error}.") from error
        try:
            content = None if body is None else msgspec.json.encode(body)
            status, answer = await client.ask(request_of(method, path, key=self._key, body=content))
        finally:
            client.close()
        if status != expected:
            raise LabError(f"{method} {path} was answered with {status}: {body_in(answer)[:300]!r}.")
