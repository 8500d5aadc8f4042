"""Tells every process at once which rankings and definitions have changed, so that none serves a stale copy."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import structlog
from valkey.asyncio import Valkey
from valkey.exceptions import ValkeyError

from grandstand.storage.valkey import OUT_OF_REACH
from grandstand.storage.valkey_servers import publish, subscription

_LEADERBOARDS = b"leaderboards"
_PERIODS = b"periods"
_NAMES = b"names"
_RETRY_SECONDS = 0.5
_POLL_SECONDS = 1.0
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


class ChangeFeed:
    """The listening side: knows the generation of every ranking while its subscription holds."""

    def __init__(self, client: Valkey, prefix: str, on_leaderboards: Callable[[], None]) -> None:
        self._client = client
        self._channel = f"{prefix}:changes"
        self._on_leaderboards = on_leaderboards
        self._connected = False
        self._generation = self._since = self._periods = self._names = 0
        self._changed: dict[int, int] = {}

    def generation(self, ranking_id: int) -> int | None:
        """Return a number that is new after every known change of the ranking; None while changes go unheard."""
        return self._changed.get(ranking_id, self._since) if self._connected else None

    def periods_generation(self) -> int | None:
        """Return a number that is new after rankings were made, closed or archived; None while unheard."""
        return max(self._periods, self._since) if self._connected else None

    def names_generation(self) -> int | None:
        """Return a number that is new after display names have changed; None while unheard."""
        return max(self._names, self._since) if self._connected else None

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
                    self._since = self._next()
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
        with contextlib.suppress(ValueError):
            for ranking_id in data.split(b","):
                self._changed[int(ranking_id)] = generation

    def _next(self) -> int:
        self._generation += 1
        return self._generation
