"""Replays of boards that were asked for, and how far each has come; one a board. Kept in Valkey, for a while."""

from typing import Any

from valkey.asyncio import Valkey

WAITING_MAX = 100
"""Names of boards that may wait; what is asked for beyond that is forgotten first."""


class ReplayRequests:
    """The requests of one deployment. Every method may raise `valkey.exceptions.ValkeyError`."""

    def __init__(self, client: Valkey, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    async def write(self, key: str, news: bytes, *, life_seconds: int) -> None:
        """Write down how the replay of a board stands; it is forgotten by itself."""
        await self._client.set(self._name(key), news, ex=life_seconds)

    async def read(self, key: str) -> bytes | None:
        """Return what was written last of a board's replay, unless that is forgotten."""
        news: bytes | None = await self._client.get(self._name(key))
        return news

    async def ask(self, key: str) -> None:
        """Put a board behind those that wait."""
        # The library says of these that they might not be awaitable.
        pushed: Any = self._client.rpush(self._waiting, key)
        await pushed
        trimmed: Any = self._client.ltrim(self._waiting, -WAITING_MAX, -1)
        await trimmed

    async def take(self) -> str | None:
        """Return the board that has waited longest, which waits no more."""
        taken: Any = self._client.lpop(self._waiting)
        key: bytes | None = await taken
        return None if key is None else key.decode()

    @property
    def _waiting(self) -> str:
        return f"{self._prefix}:replays"

    def _name(self, key: str) -> str:
        return f"{self._prefix}:replay:{key}"
