"""The scripts that run inside Valkey: one at a time, many in one round trip, or until replicas have what they wrote."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple

from valkey.asyncio import Valkey
from valkey.exceptions import NoScriptError, ResponseError

from grandstand.storage import queries
from grandstand.storage.valkey import runner_of
from grandstand.storage.valkey_errors import is_damage
from grandstand.storage.valkey_servers import run_replicated

Argument = str | bytes | int

_CALLS_AT_ONCE = 16
"""Calls that wait for replicas at one time: as many share a sync."""

_SERVERS_MAX = 2
"""A call may find that its server is no longer the primary, and then neither that one nor the next knows the script."""


class Replication(NamedTuple):
    """On how many replicas' disks a write must be before it counts, and how long that may take."""

    replicas: int
    timeout_milliseconds: int


ALONE = Replication(0, 0)


class Script:
    """One Lua file. The server is sent the text only when it does not know it."""

    def __init__(self, name: str) -> None:
        self._text = queries.load_lua(name)
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    def run(
        self, client: Valkey, keys: Sequence[str | bytes], arguments: Sequence[Argument]
    ) -> Coroutine[Any, Any, Any]:
        """Run the script; where it can be sent at once, it is on its way before the reply is awaited.

        Raises:
            valkey.exceptions.ValkeyError: out of reach (`OUT_OF_REACH`), or the script failed.

        """
        run = runner_of(client)
        return self._finish(run, run("EVALSHA", self._sha, len(keys), *keys, *arguments), keys, arguments)

    async def _finish(
        self,
        run: Callable[..., Awaitable[Any]],
        reply: Awaitable[Any],
        keys: Sequence[str | bytes],
        arguments: Sequence[Argument],
    ) -> Any:
        try:
            return await reply
        except NoScriptError:
            return await run("EVAL", self._text, len(keys), *keys, *arguments)

    async def run_replicated(
        self,
        client: Valkey,
        keys: Sequence[str | bytes],
        arguments: Sequence[Argument],
        replicas: int,
        timeout_milliseconds: int,
    ) -> Any:
        """Run the script and wait until what it wrote is on disk on so many replicas, too; 0 is as `run`.

        Raises:
            NotReplicatedError: it is not in time.
            valkey.exceptions.ValkeyError: as for `run`.
        """
        if not replicas:
            return await self.run(client, keys, arguments)
        rest = (len(keys), *keys, *arguments)
        try:
            command = ("EVALSHA", self._sha, *rest)
            return await run_replicated(client, keys[0], command, replicas, timeout_milliseconds)
        except NoScriptError:
            return await run_replicated(client, keys[0], ("EVAL", self._text, *rest), replicas, timeout_milliseconds)

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

    async def run_each(
        self,
        client: Valkey,
        calls: Sequence[tuple[Sequence[str], Sequence[Argument]]],
        replication: Replication = ALONE,
    ) -> list[Any]:
        """Run the script several times, as `run_many` does; where its keys are damaged, the reply is the error.

        With replicas each call is as `run_replicated`, and only what is undamaged waits for them.
        Only for scripts that do no harm twice: when one fails, all are run again.

        Raises:
            valkey.exceptions.ValkeyError: as for `run` or `run_replicated`, except for `is_damage`; some of the calls
                may have taken effect.

        """
        if replication.replicas:
            return await self._each_replicated(client, calls, replication)
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

    async def _each_replicated(
        self, client: Valkey, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]], replication: Replication
    ) -> list[Any]:
        limit = asyncio.Semaphore(_CALLS_AT_ONCE)

        async def run(keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
            async with limit:
                try:
                    return await self.run_replicated(client, keys, arguments, *replication)
                except ResponseError as error:
                    if is_damage(error):
                        return error
                    raise

        return await asyncio.gather(*(run(*call) for call in calls))

    async def _pipeline(
        self, client: Valkey, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]], *, raise_on_error: bool = True
    ) -> list[Any]:
        async with client.pipeline(transaction=False) as pipe:
            for keys, arguments in calls:
                pipe.execute_command("EVALSHA", self._sha, len(keys), *keys, *arguments)
            replies: list[Any] = await pipe.execute(raise_on_error=raise_on_error)
        return replies
