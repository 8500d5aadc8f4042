"""Replays that people ask for in the console: asked for by an HTTP process, run by a scheduler, watched by anybody.

A replay reads every event of a board, so it has no place in a process that takes events. What is known of one stands
in Valkey and is forgotten by itself: a scheduler that dies in the middle leaves the board as it was, and a moment later
nothing says any more that a replay is under way.
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal

import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand import clock
from grandstand.domain.errors import ConflictError, GrandstandError, UnavailableError
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.operations.audit import Origin, acting_as, current_origin
from grandstand.operations.replay_leaderboard import LeaderboardReplayer, Replay
from grandstand.storage.entries import Move
from grandstand.storage.replay_requests import ReplayRequests

_WAITS_SECONDS = 600
_LIVES_SECONDS = 20
"""A replay that has said nothing for so long is no more."""

_SHOWN_SECONDS = 3_600
_SAY_SECONDS = 1.0
_log = structlog.get_logger(__name__)

JobStatus = Literal["waiting", "running", "done", "failed"]


class ReplayJob(msgspec.Struct, kw_only=True):
    """A replay as somebody asked for it, and how it stands. Without a definition the board keeps its rule."""

    id: str
    leaderboard: str
    is_preview: bool
    definition: LeaderboardDefinition | None
    asked_by: Origin
    asked_at: datetime
    status: JobStatus = "waiting"
    events: int = 0
    moved: int = 0
    moves: list[Move] = []
    error: str | None = None


_decoder = msgspec.json.Decoder(ReplayJob)


class ReplayJobs:
    """Asks for replays, and says how they stand. Raises `UnavailableError` while Valkey is out of reach."""

    def __init__(self, requests: ReplayRequests) -> None:
        self._requests = requests

    async def ask(self, key: str, definition: LeaderboardDefinition | None, *, is_preview: bool) -> ReplayJob:
        """Ask for a replay; one that waits already is replaced.

        Raises:
            ConflictError: `replay_under_way`.
        """
        held = await self.find(key)
        if held is not None and held.status == "running":
            raise ConflictError("replay_under_way", f"The leaderboard {key!r} is being replayed already.")
        job = ReplayJob(
            id=secrets.token_hex(8), leaderboard=key, is_preview=is_preview, definition=definition,
            asked_by=current_origin(), asked_at=clock.now(),
        )  # fmt: skip
        with _reaching():
            await self._requests.write(key, msgspec.json.encode(job), life_seconds=_WAITS_SECONDS)
            await self._requests.ask(key)
        return job

    async def find(self, key: str) -> ReplayJob | None:
        """Return the newest replay of a board, unless it is forgotten."""
        with _reaching():
            news = await self._requests.read(key)
        return None if news is None else _read(news)


class ReplayRunner:
    """Runs what was asked for, one after the other; for a loop of the scheduler."""

    def __init__(self, requests: ReplayRequests, replayer: LeaderboardReplayer, stop: asyncio.Event) -> None:
        self._requests = requests
        self._replayer = replayer
        self._stop = stop

    async def run(self) -> None:
        """Run every replay that waits; at the stop the one under way is given up."""
        while not self._stop.is_set() and (key := await self._requests.take()) is not None:
            news = await self._requests.read(key)
            job = None if news is None else _read(news)
            if job is not None and job.status == "waiting":
                await self._run(job)

    async def _run(self, job: ReplayJob) -> None:
        job.status = "running"
        await self._say(job)
        work = asyncio.create_task(self._replay(job), name=f"replay {job.leaderboard}")
        ends = asyncio.create_task(self._stop.wait())
        saying = asyncio.create_task(self._keep_saying(job))
        try:
            await asyncio.wait((work, ends), return_when=asyncio.FIRST_COMPLETED)
            work.cancel()
            outcome = await work
        except asyncio.CancelledError:
            job.status, job.error = "failed", "The server stopped meanwhile; the leaderboard is as it was."
            if not work.done():
                # This round itself was cancelled: the replay is given up in order before it ends.
                work.cancel()
                await asyncio.wait((work,))
                raise
        except GrandstandError as error:
            job.status, job.error = "failed", error.detail
        except (ValkeyError, OSError):
            job.status, job.error = "failed", "An engine was out of reach; the leaderboard is as it was."
        except Exception:
            job.status, job.error = "failed", "It failed; the reason is in the scheduler's log."
            raise
        else:
            job.status = "done"
            job.events, job.moved, job.moves = outcome.events, outcome.moved, outcome.moves
        finally:
            for task in (ends, saying):
                task.cancel()
            await self._say(job)

    async def _replay(self, job: ReplayJob) -> Replay:
        def count(events: int) -> None:
            job.events = events

        with acting_as(job.asked_by):
            return await self._replayer.replay(job.leaderboard, job.definition, dry_run=job.is_preview, on_events=count)

    async def _keep_saying(self, job: ReplayJob) -> None:
        while True:
            await asyncio.sleep(_SAY_SECONDS)
            await self._say(job)

    async def _say(self, job: ReplayJob) -> None:
        is_over = job.status in ("done", "failed")
        try:
            await self._requests.write(
                job.leaderboard, msgspec.json.encode(job), life_seconds=_SHOWN_SECONDS if is_over else _LIVES_SECONDS
            )
        except (ValkeyError, OSError) as error:
            _log.warning("replay_not_told", leaderboard=job.leaderboard, error=str(error))


def _read(news: bytes) -> ReplayJob | None:
    try:
        return _decoder.decode(news)
    except msgspec.MsgspecError:
        # Written by another version of this program.
        return None


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except (ValkeyError, OSError) as error:
        raise UnavailableError("Valkey cannot be reached right now; try again.") from error
