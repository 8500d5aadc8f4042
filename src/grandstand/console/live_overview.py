"""The overview as Server-Sent Events: seen, rendered and encoded once every few seconds for all who have it open."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import suppress

import structlog

from grandstand.console.templating import render
from grandstand.operations.live_channel import Channel, Update
from grandstand.operations.watch_deployment import DeploymentWatch, Sight
from grandstand.operations.watch_load import LOOK_SECONDS

_log = structlog.get_logger(__name__)


class LiveOverview:
    """The overview of one process. It looks as long as somebody listens."""

    def __init__(self, watch: DeploymentWatch) -> None:
        self._watch = watch
        self._channels: dict[bool, Channel] = {}
        self._made: dict[bool, tuple[Sight, Update]] = {}
        self._following: asyncio.Task[None] | None = None
        self._is_closed = False

    async def open(self, *, is_admin: bool) -> "OverviewSeat":
        """Begin to listen; the seat must be closed. Admins are shown links that others are not."""
        update = self._render(await self._watch.see(), is_admin=is_admin)
        channel = self._channels.setdefault(is_admin, Channel(update))
        channel.latest = update
        if self._is_closed:
            channel.end()
        elif self._following is None or self._following.done():
            self._following = asyncio.create_task(self._follow(), name="live overview")
        return OverviewSeat(channel)

    def _render(self, sight: Sight, *, is_admin: bool) -> Update:
        """Return what is sent of a sight, made once however many ask: after a restart all browsers come at once."""
        seen, update = self._made.get(is_admin, (None, None))
        if seen is not sight or update is None:
            update = _update(sight, is_admin=is_admin)
            self._made[is_admin] = sight, update
        return update

    async def close(self) -> None:
        """End every stream."""
        self._is_closed = True
        for channel in self._channels.values():
            channel.end()
        if self._following is not None:
            self._following.cancel()
            with suppress(asyncio.CancelledError):
                await self._following

    async def _follow(self) -> None:
        # One round more than there are listeners: whoever opened a seat takes it in a moment.
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not any(channel.seats for channel in self._channels.values()):
                return
            try:
                sight = await self._watch.see()
                for is_admin, channel in list(self._channels.items()):
                    if channel.seats:
                        channel.latest = self._render(sight, is_admin=is_admin)
                        await channel.tell()
            except Exception:  # noqa: BLE001 - a task that ended here would leave its listeners with old numbers
                _log.exception("overview_not_seen")


class OverviewSeat:
    """One listener of the overview."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._tell: Callable[[Update], None] | None = None
        channel.seats += 1

    def listen(self, tell: Callable[[Update], None], end: Callable[[], None]) -> None:
        """Have `tell` called with the newest state, now and every few seconds; `end` when there will be none."""
        self._tell = tell
        self._channel.join(tell, end)

    def close(self) -> None:
        """Listen no longer."""
        if self._tell is not None:
            self._channel.leave(self._tell)
        self._channel.seats -= 1


def _update(sight: Sight, *, is_admin: bool) -> Update:
    text = render("overview_now.html", sight=sight, is_admin=is_admin)
    name = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    lines = "".join(f"data: {line}\n" for line in text.splitlines())
    return Update(name, f"event: update\nid: {name}\n{lines}\n".encode(), "")
