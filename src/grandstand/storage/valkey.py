"""Connections to Valkey, the scripts that run inside it, and what its absence means to a caller."""

import hashlib
from collections.abc import Sequence
from typing import Any

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    BusyLoadingError,
    NoScriptError,
    ReadOnlyError,
)
from valkey.exceptions import (
    ConnectionError as ValkeyConnectionError,
)
from valkey.exceptions import (
    TimeoutError as ValkeyTimeoutError,
)

from grandstand.storage import queries

Argument = str | bytes | int

_CONNECT_TIMEOUT_SECONDS = 2.0

OUT_OF_REACH = (OSError, ValkeyConnectionError, ValkeyTimeoutError, BusyLoadingError, ReadOnlyError)
"""What the client raises when the server is away, starting or not the primary; the same call may work later."""


def open_valkey(url: str, *, timeout_seconds: float, connections_max: int = 50) -> Valkey:
    """Return a client; it connects at its first command. Replies are bytes."""
    for old, new in (("redis://", "valkey://"), ("rediss://", "valkeys://")):
        if url.startswith(old):
            url = new + url.removeprefix(old)
    options: dict[str, Any] = {} if url.startswith("unix://") else {"socket_keepalive": True}
    # One retry at once: a connection that the server closed while idle is replaced without the caller noticing.
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections_max,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=min(timeout_seconds, _CONNECT_TIMEOUT_SECONDS),
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[ValkeyConnectionError],
        **options,
    )
    return Valkey.from_pool(pool)


class Script:
    """One Lua file. The server is sent the text only when it does not know it."""

    def __init__(self, name: str) -> None:
        self._text = queries.load_lua(name)
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Valkey, keys: Sequence[str | bytes], arguments: Sequence[Argument]) -> Any:
        """Run the script.

        Raises:
            valkey.exceptions.ValkeyError: out of reach (`OUT_OF_REACH`), or the script failed.

        """
        try:
            return await client.evalsha(self._sha, len(keys), *keys, *arguments)  # type: ignore[misc,arg-type]
        except NoScriptError:
            return await client.eval(self._text, len(keys), *keys, *arguments)  # type: ignore[misc,arg-type]

    async def run_many(self, client: Valkey, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Run the script several times in one round trip; return the replies in order.

        Raises:
            valkey.exceptions.ValkeyError: as for `run`; some of the calls may have taken effect.

        """
        if len(calls) == 1:
            return [await self.run(client, *calls[0])]
        try:
            return await self._pipeline(client, calls)
        except NoScriptError:
            await client.script_load(self._text)
            return await self._pipeline(client, calls)

    async def _pipeline(self, client: Valkey, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                pipe.execute_command("EVALSHA", self._sha, len(keys), *keys, *arguments)
            replies: list[Any] = await pipe.execute()
        return replies
