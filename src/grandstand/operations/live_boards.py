"""Live boards: one computation a board and second at most, however many listen, and only when something changed.

A listener that falls behind misses what lies between and gets the newest state: the top of a board is a state, not a
log. Whoever listens again with the id of the last update it saw gets a new one only if there is one. A board that is
deleted, or that not everyone may read any more, ends its streams.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog

from grandstand.domain.errors import GrandstandError, NotFoundError
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.find_ranking import Part
from grandstand.operations.leaderboard_views import Page
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.telemetry import metrics

INTERVAL_SECONDS = 1.0
"""Least time between two updates of a board."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Topic:
    """What a listener hears of: the top `limit` entries of a board or a part of it.

    `visibility` is what the board's was when the listener was let in.
    """

    key: str
    part: Part
    limit: int
    visibility: Visibility = "public"


@dataclass(frozen=True, slots=True)
class Update:
    """The state of a topic: `data` is JSON of one period's page, and equal states have equal ids."""

    id: str
    data: bytes
    period: str


class LiveBoards:
    """The live topics of one process. Each has a task as long as somebody listens."""

    def __init__(self, reader: LeaderboardReader) -> None:
        self._reader = reader
        self._channels: dict[Topic, _Channel] = {}
        self._opening: dict[Topic, asyncio.Task[None]] = {}
        self._is_closed = False

    async def open(self, topic: Topic) -> "Listener":
        """Begin to listen to a topic; the listener must be closed.

        Raises:
            GrandstandError: what reading the board raises.
        """
        while (channel := self._channels.get(topic)) is None:
            # Of many that come at once for a new topic, the first computes it for all.
            opening = self._opening.get(topic)
            if opening is None:
                opening = self._opening[topic] = asyncio.create_task(self._begin(topic), name=f"open {topic.key}")
                opening.add_done_callback(lambda done: self._end_opening(topic, done))
            await asyncio.shield(opening)
        listener = Listener(self, topic, channel)
        metrics.LIVE_LISTENERS.inc()
        return listener

    async def close(self) -> None:
        """End every listener's stream and every topic's task."""
        self._is_closed = True
        channels = list(self._channels.values())
        for channel in channels:
            channel.end()
        for channel in channels:
            channel.task.cancel()
            with suppress(asyncio.CancelledError):
                await channel.task

    def leave(self, topic: Topic, channel: "_Channel") -> None:
        """Take one listener off a topic; without any the topic ends."""
        metrics.LIVE_LISTENERS.dec()
        channel.listeners -= 1
        if channel.listeners == 0:
            self._remove(topic, channel)

    async def _begin(self, topic: Topic) -> None:
        update = await self._compute(topic)
        channel = _Channel(update)
        channel.task = asyncio.create_task(self._follow(topic, channel), name=f"live {topic.key}")
        self._channels[topic] = channel
        if self._is_closed:
            channel.end()

    def _end_opening(self, topic: Topic, opening: asyncio.Task[None]) -> None:
        del self._opening[topic]
        if not opening.cancelled():
            # Asked for, so that a failure which no listener has waited for is not reported as forgotten.
            opening.exception()

    def _remove(self, topic: Topic, channel: "_Channel") -> None:
        if self._channels.get(topic) is channel:
            del self._channels[topic]
        channel.task.cancel()

    async def _follow(self, topic: Topic, channel: "_Channel") -> None:
        generation: int | None = None
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            if not channel.listeners:
                # Whoever opened it went away before it could listen.
                self._remove(topic, channel)
                return
            before, generation = generation, self._generation(topic, channel.latest)
            if generation is not None and generation == before:
                # While changes are heard of, nothing is computed until there is one.
                continue
            try:
                if await self._visibility(topic) != topic.visibility:
                    break
                update = await self._compute(topic)
            except NotFoundError:
                break
            except GrandstandError as error:
                _log.info("live_board_not_read", leaderboard=topic.key, error=error.detail)
                generation = None
                continue
            except Exception:  # noqa: BLE001 - a task that ended here would leave its listeners with old ranks for ever
                _log.exception("live_board_not_read", leaderboard=topic.key)
                generation = None
                continue
            if update.id != channel.latest.id:
                channel.publish(update)
        if self._channels.get(topic) is channel:
            del self._channels[topic]
        channel.end()

    async def _compute(self, topic: Topic) -> Update:
        metrics.LIVE_READS.inc()
        page = await self._read(topic)
        data = msgspec.json.encode(page)
        return Update(_identify(page), data, page.period)

    async def _read(self, topic: Topic) -> Page:
        return await self._reader.page(topic.key, limit=topic.limit, part=topic.part)

    async def _visibility(self, topic: Topic) -> Visibility:
        return await self._reader.visibility(topic.key)

    def _generation(self, topic: Topic, _: Update) -> int | None:
        return self._reader.generation(topic.key)


class Listener:
    """One listener of a topic."""

    def __init__(self, boards: LiveBoards, topic: Topic, channel: "_Channel") -> None:
        self._boards = boards
        self._topic = topic
        self._channel = channel
        channel.listeners += 1

    async def updates(self, last_id: str | None, idle_seconds: float) -> AsyncIterator[Update | None]:
        """Yield the newest state whenever it is not the one of `last_id` or the last one yielded.

        After `idle_seconds` without a change None is yielded. Ends when the board can be listened to no longer.
        """
        seen = last_id
        channel = self._channel
        while not channel.is_ended:
            changed = channel.changed
            if channel.latest.id != seen:
                seen = channel.latest.id
                yield channel.latest
                continue
            try:
                async with asyncio.timeout(idle_seconds):
                    await changed.wait()
            except TimeoutError:
                yield None

    def close(self) -> None:
        """Listen no longer."""
        self._boards.leave(self._topic, self._channel)


class _Channel:
    """The newest state of a topic, and the event that wakes its listeners; each state has an event of its own."""

    task: "asyncio.Task[None]"

    def __init__(self, latest: Update) -> None:
        self.latest = latest
        self.changed = asyncio.Event()
        self.listeners = 0
        self.is_ended = False

    def publish(self, update: Update) -> None:
        """Make an update the newest state and wake everybody."""
        self.latest = update
        self._wake()

    def end(self) -> None:
        """End the streams of everybody who listens."""
        self.is_ended = True
        self._wake()

    def _wake(self) -> None:
        self.changed, changed = asyncio.Event(), self.changed
        changed.set()


def _identify(page: Page) -> str:
    """Return an id of what a page says, whenever it was read."""
    state = msgspec.json.encode((page.period, page.total, page.entries))
    return hashlib.blake2b(state, digest_size=12).hexdigest()
