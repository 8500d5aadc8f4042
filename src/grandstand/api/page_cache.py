"""Keeps the encoded bytes of public leaderboard pages for as long as nothing is known to have changed.

Only what everyone may see is kept. An entry is good while the board's generation (see `LeaderboardReader.generation`)
is the one it was read under and it is younger than a set age; the age bounds what an unheard change can do.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from grandstand.api.replies import Reply

BYTES_MAX = 33_554_432
"""Bytes that are kept, of bodies and of names; the oldest entries go first."""

NAME_BYTES_MAX = 1024
"""A longer name is no page that two clients ask for, and is not kept."""

ENTRY_BYTES = 1024
"""What an entry costs beside its name and body, roughly: headers, tuples, its place in the dictionary."""


class Rendered(NamedTuple):
    """A reply, and the generation of the board that it shows; None when it may not be kept."""

    reply: Reply
    generation: int | None


class _Entry(NamedTuple):
    reply: Reply
    board: str
    generation: int
    expires_at: float


class PageCache:
    """The pages of one process, by path and query."""

    def __init__(self, generation: Callable[[str], int | None], age_max_seconds: float) -> None:
        self._generation = generation
        self._age_max_seconds = age_max_seconds
        self._entries: dict[bytes, _Entry] = {}
        self._bytes = 0
        self._under_way: dict[tuple[bytes, int | None], asyncio.Task[Rendered]] = {}

    def find(self, name: bytes) -> Reply | None:
        """Return a page that is still good, or None."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        if entry.expires_at > time.monotonic() and self._generation(entry.board) == entry.generation:
            return entry.reply
        self._remove(name)
        return None

    async def compute(self, name: bytes, board: str, render: Callable[[], Awaitable[Rendered]]) -> Reply:
        """Return the page, rendered now. Callers that come meanwhile share the one that is under way.

        Whoever comes after a change does not share one that began before it.
        """
        sharing = name, self._generation(board)
        task = self._under_way.get(sharing)
        if task is None:
            task = asyncio.create_task(self._render(name, board, render), name="render page")
            self._under_way[sharing] = task
            task.add_done_callback(lambda done: self._end(sharing, done))
        # Shielded: one caller that goes away does not take the page from the others.
        return (await asyncio.shield(task)).reply

    async def _render(self, name: bytes, board: str, render: Callable[[], Awaitable[Rendered]]) -> Rendered:
        begun_at = time.monotonic()
        rendered = await render()
        if rendered.generation is not None and self._age_max_seconds > 0 and len(name) <= NAME_BYTES_MAX:
            self._remove(name)
            self._entries[name] = _Entry(rendered.reply, board, rendered.generation, begun_at + self._age_max_seconds)
            self._bytes += _size(name, rendered.reply)
            while self._bytes > BYTES_MAX:
                self._remove(next(iter(self._entries)))
        return rendered

    def _end(self, sharing: tuple[bytes, int | None], task: "asyncio.Task[Rendered]") -> None:
        self._under_way.pop(sharing, None)
        if not task.cancelled():
            # Asked for, so that a failure which no caller has waited for is not reported as forgotten.
            task.exception()

    def _remove(self, name: bytes) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= _size(name, entry.reply)


def _size(name: bytes, reply: Reply) -> int:
    return len(name) + len(reply.body) + ENTRY_BYTES
