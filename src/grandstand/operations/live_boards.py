"""Live boards: one computation a board and second at most, however many listen, and only when something changed.

A listener that falls behind misses what lies between and gets the newest state: the top of a board is a state, not a
log. Nobody is waited for, and no listener has a task or timer here: `live_channel.py` calls them all in turn. Whoever
listens again with the id of the last update it saw gets a new one only if there is one. A board that is deleted, or
that not everyone may read any more, ends its streams.
"""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec
import structlog

from grandstand.domain.errors import GrandstandError, NotFoundError
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.find_ranking import Part
from grandstand.operations.leaderboard_views import Page
from grandstand.operations.live_channel import Channel, Update
from grandstand.operations.read_leaderboard import LeaderboardReader
from grandstand.telemetry import metrics

INTERVAL_SECONDS = 1.0
"""Least time between two updates of a board."""

SWEEP_SECONDS = 1.0
"""Every listener is told the newest state so often, also of a quiet board: those that lag get it then."""

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


class LiveBoards:
    """The live topics of one process. Each has a task as long as somebody listens."""

    def __init__(self, reader: LeaderboardReader) -> None:
        self._reader = reader
        self._channels: dict[Topic, Channel] = {}
        self._opening: dict[Topic, asyncio.Task[None]] = {}
        self._sweeping: asyncio.Task[None] | None = None
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
        tasks = [channel.task for channel in channels]
        if self._sweeping is not None:
            tasks.append(self._sweeping)
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def leave(self, topic: Topic, channel: Channel) -> None:
        """Take one listener off a topic; without any the topic ends."""
        metrics.LIVE_LISTENERS.dec()
        channel.seats -= 1
        if channel.seats == 0:
            self._remove(topic, channel)

    async def _begin(self, topic: Topic) -> None:
        update = await self._compute(topic)
        channel = Channel(update)
        channel.task = asyncio.create_task(self._follow(topic, channel), name=f"live {topic.key}")
        self._channels[topic] = channel
        if self._is_closed:
            channel.end()
        elif self._sweeping is None or self._sweeping.done():
            self._sweeping = asyncio.create_task(self._sweep(), name="sweep live boards")

    def _end_opening(self, topic: Topic, opening: asyncio.Task[None]) -> None:
        del self._opening[topic]
        if not opening.cancelled():
            # Asked for, so that a failure which no listener has waited for is not reported as forgotten.
            opening.exception()

    def _remove(self, topic: Topic, channel: Channel) -> None:
        if self._channels.get(topic) is channel:
            del self._channels[topic]
        channel.task.cancel()

    async def _follow(self, topic: Topic, channel: Channel) -> None:
        generation: int | None = None
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            if not channel.seats:
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
                channel.latest = update
                await channel.tell()
        if self._channels.get(topic) is channel:
            del self._channels[topic]
        channel.end()

    async def _sweep(self) -> None:
        """Tell everybody the newest state again and again, as long as there is anybody."""
        while self._channels:
            await asyncio.sleep(SWEEP_SECONDS)
            for channel in list(self._channels.values()):
                await channel.tell()

    async def _compute(self, topic: Topic) -> Update:
        metrics.LIVE_READS.inc()
        page = await self._read(topic)
        name = _identify(page)
        # As Server-Sent Events have it: made once, sent to thousands.
        event = b"event: update\nid: " + name.encode() + b"\ndata: " + msgspec.json.encode(page) + b"\n\n"
        return Update(name, event, page.period)

    async def _read(self, topic: Topic) -> Page:
        return await self._reader.page(topic.key, limit=topic.limit, part=topic.part)

    async def _visibility(self, topic: Topic) -> Visibility:
        return await self._reader.visibility(topic.key)

    def _generation(self, topic: Topic, _: Update) -> int | None:
        return self._reader.generation(topic.key)


class Listener:
    """One listener of a topic, by two functions that must not wait and must not raise."""

    def __init__(self, boards: LiveBoards, topic: Topic, channel: Channel) -> None:
        self._boards = boards
        self._topic = topic
        self._channel = channel
        self._tell: Callable[[Update], None] | None = None
        channel.seats += 1

    def listen(self, tell: Callable[[Update], None], end: Callable[[], None]) -> None:
        """Have `tell` called with the newest state: now, after every change, and every `SWEEP_SECONDS`.

        `end` is called once the board can be listened to no longer.
        """
        self._tell = tell
        self._channel.join(tell, end)

    def close(self) -> None:
        """Listen no longer."""
        if self._tell is not None:
            self._channel.leave(self._tell)
        self._boards.leave(self._topic, self._channel)


def _identify(page: Page) -> str:
    """Return an id of what a page says, whenever it was read."""
    state = msgspec.json.encode((page.period, page.total, page.entries))
    return hashlib.blake2b(state, digest_size=12).hexdigest()
