"""Tells every process at once which rankings and definitions have changed, so that none serves a stale copy."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from grandstand.storage.valkey_errors import OUT_OF_REACH
from grandstand.storage.valkey_servers import publish, subscription

_LEADERBOARDS = b"leaderboards"
_PERIODS = b"periods"
_NAMES = b"names"
_TOURNAMENTS = b"tournaments"
_PRIZES = b"prizes"
_RETRY_SECONDS = 0.5
_POLL_SECONDS = 1.0
RANKINGS_MAX = 20_000
"""Rankings whose last change is remembered one by one; that of the rest is remembered as one."""

_log = structlog.get_logger(__name__)


class Changes:
    """The publishing side."""

    def __init__(self, client: Valkey, prefix: str) -> None:
        self._client = client
        self._channel = f"{prefix}:changes"

    async def rankings(self, ranking_ids: Iterable[int]) -> None:
        """Say that entries of these rankings have changed."""
        await publish(self._client, self._channel, ",".join(map(str, ranking_ids)))

    async def leaderboards(self) -> None:
        """Say that definitions have changed."""
        await publish(self._client, self._channel, _LEADERBOARDS)

    async def periods(self) -> None:
        """Say that rankings were made, closed or archived."""
        await publish(self._client, self._channel, _PERIODS)

    async def names(self) -> None:
        """Say that display names have changed."""
        await publish(self._client, self._channel, _NAMES)

    async def tournaments(self) -> None:
        """Say that tournaments have taken a step, or players have joined or left one."""
        await publish(self._client, self._channel, _TOURNAMENTS)

    async def prizes(self) -> None:
        """Say that prizes were awarded, claimed, voided or have expired."""
        await publish(self._client, self._channel, _PRIZES)


class ChangeFeed:
    """The listening side: knows the generation of every ranking while its subscription holds."""

    def __init__(
        self, client: Valkey, prefix: str, on_leaderboards: Callable[[], None], *, rankings_max: int = RANKINGS_MAX
    ) -> None:
        self._client = client
        self._channel = f"{prefix}:changes"
        self._on_leaderboards = on_leaderboards
        self._rankings_max = rankings_max
        self._connected = False
        self._generation = self._since = self._periods = self._names = self._tournaments = self._prizes = 0
        self._changed: dict[int, int] = {}
        self._others = 0
        """At least the last change of every ranking that is not in `_changed`."""

    @property
    def rankings_remembered(self) -> int:
        """How many rankings' changes are remembered one by one; never more than `rankings_max`."""
        return len(self._changed)

    def generation(self, ranking_id: int) -> int | None:
        """Return a number that is new after every known change of the ranking; None while changes go unheard.

        It may be new without one, too: of many rankings only those that changed last are told apart.
        """
        return self._changed.get(ranking_id, self._others) if self._connected else None

    def periods_generation(self) -> int | None:
        """Return a number that is new after rankings were made, closed or archived; None while unheard."""
        return max(self._periods, self._since) if self._connected else None

    def names_generation(self) -> int | None:
        """Return a number that is new after display names have changed; None while unheard."""
        return max(self._names, self._since) if self._connected else None

    def tournaments_generation(self) -> int | None:
        """Return a number that is new after a tournament has changed; None while unheard."""
        # Whoever changes or cancels one says that definitions and rankings have changed.
        return max(self._tournaments, self._periods, self._since) if self._connected else None

    def prizes_generation(self) -> int | None:
        """Return a number that is new after any prize has changed; None while unheard."""
        # Erasures, which rename the owners of prizes, say that rankings have changed.
        return max(self._prizes, self._periods, self._since) if self._connected else None

    async def run(self) -> None:
        """Listen until cancelled; after a lost connection everything counts as changed."""
        while True:
            try:
                await self._listen()
            except (ValkeyError, *OUT_OF_REACH) as error:
                _log.warning("change_feed_lost", error=str(error))
            finally:
                self._connected = False
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        async with subscription(self._client) as heard:
            await heard.subscribe(self._channel)
            while True:
                message = await heard.get_message(timeout=_POLL_SECONDS)
                if message is None:
                    continue
                if message["type"] == "subscribe":
                    # What was missed meanwhile is unknown, so nothing cached before may be used again.
                    self._changed.clear()
                    self._since = self._others = self._next()
                    self._connected = True
                    self._on_leaderboards()
                elif message["type"] == "message":
                    self._hear(message["data"])

    def _hear(self, data: bytes) -> None:
        if data == _LEADERBOARDS:
            self._on_leaderboards()
            return
        generation = self._next()
        if data == _PERIODS:
            self._periods = generation
            return
        if data == _NAMES:
            self._names = generation
            return
        if data == _TOURNAMENTS:
            self._tournaments = generation
            return
        if data == _PRIZES:
            self._prizes = generation
            return
        with contextlib.suppress(ValueError):
            for ranking_id in data.split(b","):
                self._note(int(ranking_id), generation)

    def _note(self, ranking_id: int, generation: int) -> None:
        # Taken out first, so that the dictionary stays in the order of changes.
        self._changed.pop(ranking_id, None)
        if len(self._changed) >= self._rankings_max:
            # Rankings come and go for years. Half at once: with each loss the pages of all others count as old.
            for old in list(self._changed)[: self._rankings_max // 2 + 1]:
                self._others = max(self._others, self._changed.pop(old))
        self._changed[ranking_id] = generation

    def _next(self) -> int:
        self._generation += 1
        return self._generation
