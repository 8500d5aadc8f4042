"""Connections to Valkey, the scripts that run inside it, and what its absence means to a caller."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.connection import AbstractConnection
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
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
_SERVERS_MAX = 2
"""A call may find that its server is no longer the primary, and then neither that one nor the next knows the script."""

SERVER_ERRORS = (ValkeyConnectionError, ValkeyTimeoutError, BusyLoadingError, ReadOnlyError, OutOfMemoryError)
"""What tells that the server is the trouble, wherever it is raised."""

OUT_OF_REACH = (OSError, ValkeyConnectionError, ValkeyTimeoutError, BusyLoadingError, ReadOnlyError)
"""What the client raises when the server is away, starting or not the primary; the same call may work later."""

_RUN_ID = re.compile(rb"^run_id:(\w+)", re.MULTILINE)

_CODE = re.compile(r"[A-Z]{2,} ")
_PASSING_CODES = ("MISCONF", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "UNBLOCKED")


def is_passing(error: ResponseError) -> bool:
    """Whether the server refuses every such command for now: its disk is full, say, or its replicas are away."""
    return str(error).startswith(_PASSING_CODES)


def is_wrong_type(error: ResponseError) -> bool:
    """Whether a key holds another type than is kept there."""
    return str(error).startswith("WRONGTYPE")


def is_damage(error: object) -> bool:
    """Whether a script failed of what it found in its keys: another type than is kept there, or no sense in it."""
    # Errors of the server's own have a class of theirs; those of Lua and of its commands have no code before the text.
    if type(error) is not ResponseError:
        return False
    return is_wrong_type(error) or ("user_script:" in str(error) and _CODE.match(str(error)) is None)


async def memory_max_bytes(client: Valkey) -> int | None:
    """Return the most memory that the server takes; None without such a limit.

    Raises:
        valkey.exceptions.ValkeyError: it is out of reach.
    """
    return int((await client.info("memory")).get("maxmemory", 0)) or None


class ServerIdentity:
    """Which run of which server a client's newest connection leads to.

    It is another one after the server was started anew, or another server took its place. It is known before the first
    reply that comes over the connection.
    """

    def __init__(self) -> None:
        self.run_id = ""


class _Pool(BlockingConnectionPool):
    server: ServerIdentity


def server_of(client: Valkey) -> ServerIdentity:
    """Return the identity of the server of a client that `open_valkey` has made."""
    pool = client.connection_pool
    if not isinstance(pool, _Pool):
        raise TypeError("Only clients of open_valkey know their server.")
    return pool.server


def open_valkey(url: str, *, timeout_seconds: float, connections_max: int = 50) -> Valkey:
    """Return a client; it connects at its first command. Replies are bytes."""
    for old, new in (("redis://", "valkey://"), ("rediss://", "valkeys://")):
        if url.startswith(old):
            url = new + url.removeprefix(old)
    options: dict[str, Any] = {} if url.startswith("unix://") else {"socket_keepalive": True}
    # One retry at once, on a new connection: one that the server closed while idle is replaced without the caller
    # noticing, and one to a server that is no longer the primary leads to whoever has its name now. A time-out is not
    # repeated: the caller would wait twice as long.
    pool = _Pool.from_url(
        url,
        max_connections=connections_max,
        timeout=timeout_seconds,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=min(timeout_seconds, _CONNECT_TIMEOUT_SECONDS),
        retry=Retry(NoBackoff(), 1, supported_errors=(ValkeyConnectionError,)),
        retry_on_error=[ValkeyConnectionError, ReadOnlyError],
        **options,
    )
    pool.server = ServerIdentity()
    pool.connection_class = _noticing(pool.connection_class, pool.server)
    return Valkey.from_pool(pool)


def _noticing(connection_class: type[AbstractConnection], server: ServerIdentity) -> type[AbstractConnection]:
    """Return a connection that notes which server it leads to, and tells when it is closed as every caller expects.

    uvloop raises RuntimeError for a write to a connection that was closed a moment ago.
    """

    class Noticing(connection_class):  # type: ignore[misc,valid-type]
        async def on_connect(self) -> None:
            await super().on_connect()
            await self.send_command("INFO", "server", check_health=False)
            try:
                found = _RUN_ID.search(await self.read_response(disable_decoding=True))
            except ResponseError:
                found = None
            # A server that hides it counts as another one with each connection.
            server.run_id = found[1].decode() if found else uuid4().hex

        async def send_packed_command(self, *arguments: Any, **options: Any) -> None:
            try:
                await super().send_packed_command(*arguments, **options)
            except RuntimeError as error:
                await self.disconnect(nowait=True)
                raise ValkeyConnectionError(f"The connection is closed: {error}") from error

    return Noticing


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
        for _ in range(_SERVERS_MAX):
            try:
                return await self._pipeline(client, calls)
            except NoScriptError:
                await client.script_load(self._text)
        return await self._pipeline(client, calls)

    async def run_each(self, client: Valkey, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Run the script several times, as `run_many` does; where its keys are damaged, the reply is the error.

        Only for scripts that do no harm twice: when one fails, all are run again.

        Raises:
            valkey.exceptions.ValkeyError: as for `run`, except for `is_damage`.

        """
        try:
            return await self.run_many(client, calls)
        except ResponseError as error:
            if type(error) is not ResponseError:
                raise
        # Now each error by itself, and in the server's own words.
        replies = await self._pipeline(client, calls, raise_on_error=False)
        for reply in replies:
            if isinstance(reply, Exception) and not is_damage(reply):
                raise reply
        return replies

    async def _pipeline(
        self, client: Valkey, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]], *, raise_on_error: bool = True
    ) -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                pipe.execute_command("EVALSHA", self._sha, len(keys), *keys, *arguments)
            replies: list[Any] = await pipe.execute(raise_on_error=raise_on_error)
        return replies
