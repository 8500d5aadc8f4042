"""Live boards: one computation a board and second at most, however many listen, and only when something changed.

A listener that falls behind misses what lies between and gets the newest state: the top of a board is a state, not a
log. Whoever listens again with the id of the last update it saw gets a new one only if there is one.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog

from grandstand.domain.errors import GrandstandError
from grandstand.operations.find_ranking import Part
from grandstand.operations.leaderboard_views import Page
from grandstand.operations.read_leaderboard import LeaderboardReader

INTERVAL_SECONDS = 1.0
"""Least time between two updates of a board."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Topic:
    """What a listener hears of: the top `limit` entries of a board or a part of it."""

    key: str
    part: Part
    limit: int


@dataclass(frozen=True, slots=True)
class Update:
    """The state of a topic: `data` is JSON, and equal states have equal ids."""

    id: str
    data: bytes


class LiveBoards:
    """The live topics of one process. Each has a task as long as somebody listens."""

    def __init__(self, reader: LeaderboardReader) -> None:
        self._reader = reader
        self._channels: dict[Topic, _Channel] = {}
        self._opening = asyncio.Lock()
        self._is_closed = False

    async def open(self, topic: Topic) -> "Listener":
        """Begin to listen to a topic; the listener must be closed.

        Raises:
            GrandstandError: what reading the board raises.
        """
        # One at a time: of many that come at once for a new topic, the first computes it for all.
        async with self._opening:
            channel = self._channels.get(topic)
            if channel is None:
                channel = self._channels[topic] = _Channel(await self._compute(topic))
                channel.task = asyncio.create_task(self._follow(topic, channel), name=f"live {topic.key}")
            channel.listeners += 1
        return Listener(self, topic, channel)

    async def close(self) -> None:
        """End every listener's stream and every topic's task."""
        self._is_closed = True
        channels = list(self._channels.values())
        for channel in channels:
            channel.wake()
        for channel in channels:
            if channel.task is not None:
                channel.task.cancel()
                with suppress(asyncio.CancelledError):
                    await channel.task

    def leave(self, topic: Topic, channel: "_Channel") -> None:
        """Take one listener off a topic; without any the topic ends."""
        channel.listeners -= 1
        if channel.listeners == 0 and self._channels.get(topic) is channel:
            del self._channels[topic]
            if channel.task is not None:
                channel.task.cancel()

    @property
    def is_closed(self) -> bool:
        """Whether the streams are to end."""
        return self._is_closed

    async def _follow(self, topic: Topic, channel: "_Channel") -> None:
        generation: int | None = None
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            before, generation = generation, self._reader.generation(topic.key)
            if generation is not None and generation == before:
                # While changes are heard of, nothing is computed until there is one.
                continue
            try:
                update = await self._compute(topic)
            except GrandstandError as error:
                _log.info("live_board_not_read", leaderboard=topic.key, error=error.detail)
                generation = None
                continue
            if update.id != channel.latest.id:
                channel.publish(update)

    async def _compute(self, topic: Topic) -> Update:
        page = await self._reader.page(topic.key, limit=topic.limit, part=topic.part)
        data = msgspec.json.encode(page)
        return Update(_identify(page), data)


class Listener:
    """One listener of a topic."""

    def __init__(self, boards: LiveBoards, topic: Topic, channel: "_Channel") -> None:
        self._boards = boards
        self._topic = topic
        self._channel = channel

    async def updates(self, last_id: str | None, idle_seconds: float) -> AsyncIterator[Update | None]:
        """Yield the newest state whenever it is not the one of `last_id` or the last one yielded.

        After `idle_seconds` without a change None is yielded. Ends when the boards are closed.
        """
        seen = last_id
        while not self._boards.is_closed:
            changed = self._channel.changed
            if self._channel.latest.id != seen:
                seen = self._channel.latest.id
                yield self._channel.latest
                continue
            try:
                await asyncio.wait_for(changed.wait(), idle_seconds)
            except TimeoutError:
                yield None

    def close(self) -> None:
        """Listen no longer."""
        self._boards.leave(self._topic, self._channel)


class _Channel:
    """The newest state of a topic, and the event that wakes its listeners; each state has an event of its own."""

    def __init__(self, latest: Update) -> None:
        self.latest = latest
        self.changed = asyncio.Event()
        self.listeners = 0
        self.task: asyncio.Task[None] | None = None

    def publish(self, update: Update) -> None:
        """Make an update the newest state and wake everybody."""
        self.latest = update
        self.wake()

    def wake(self) -> None:
        """Wake everybody who waits."""
        self.changed, changed = asyncio.Event(), self.changed
        changed.set()


def _identify(page: Page) -> str:
    """Return an id of what a page says, whenever it was read."""
    state = msgspec.json.encode((page.period, page.total, page.entries))
    return hashlib.blake2b(state, digest_size=12).hexdigest()
