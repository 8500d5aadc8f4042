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

_POLL_SECONDS = 0.1
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

    async def listen(self, topic: Topic, last_id: str | None, idle_seconds: float) -> AsyncIterator[Update | None]:
        """Yield the newest state of a topic whenever it has changed, and None after `idle_seconds` without a change.

        Raises:
            GrandstandError: at the first step, what reading the board raises.
        """
        channel = self._channels.get(topic)
        if channel is None:
            # The first read is the listener's own, so that its mistakes are told to it.
            first = await self._compute(topic)
            channel = self._channels.setdefault(topic, _Channel(first))
        channel.listeners += 1
        if channel.task is None:
            channel.task = asyncio.create_task(self._follow(topic, channel), name=f"live {topic.key}")
        try:
            seen = last_id
            while True:
                if channel.latest.id != seen:
                    seen = channel.latest.id
                    yield channel.latest
                    continue
                changed = channel.changed
                try:
                    await asyncio.wait_for(changed.wait(), idle_seconds)
                except TimeoutError:
                    yield None
        finally:
            channel.listeners -= 1
            if channel.listeners == 0 and self._channels.get(topic) is channel:
                del self._channels[topic]
                channel.task.cancel()

    async def close(self) -> None:
        """End every topic's task."""
        tasks = [channel.task for channel in self._channels.values() if channel.task is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def _follow(self, topic: Topic, channel: "_Channel") -> None:
        generation: int | None = None
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            # While changes are heard of, nothing is computed until there is one.
            while generation is not None and self._reader.generation(topic.key) == generation:
                await asyncio.sleep(_POLL_SECONDS)
            try:
                generation = self._reader.generation(topic.key)
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
        self.changed, changed = asyncio.Event(), self.changed
        changed.set()


def _identify(page: Page) -> str:
    """Return an id of what a page says, whenever it was read."""
    state = msgspec.json.encode((page.period, page.total, page.entries))
    return hashlib.blake2b(state, digest_size=12).hexdigest()
