"""Who has changed something a moment ago, known to all processes: a replica may not show it yet."""

import hashlib

from valkey.asyncio import Valkey


class RecentWriters:
    """Marks of one deployment, each with a life. Every method may raise `valkey.exceptions.ValkeyError`."""

    def __init__(self, client: Valkey, prefix: str, life_seconds: float) -> None:
        self._client = client
        self._prefix = prefix
        self.life_seconds = life_seconds

    async def mark(self, writer: str) -> None:
        """Remember a writer from now on."""
        await self._client.set(self._key(writer), b"1", px=int(self.life_seconds * 1000))

    async def is_recent(self, writer: str) -> bool:
        """Return whether a writer's mark is alive."""
        return bool(await self._client.exists(self._key(writer)))

    def _key(self, writer: str) -> str:
        return f"{self._prefix}:writer:{hashlib.blake2b(writer.encode(), digest_size=12).hexdigest()}"
