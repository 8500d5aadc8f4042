"""A database that lets a test step in before and after each statement and each commit."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from grandstand.storage.postgres import Database


class KilledError(BaseException):
    """What ends a process that is killed: nothing catches it."""


Hook = Callable[[str, Any], Awaitable[None]]
"""Called with the point that was reached (`before <query>`, `after <query>`, …) and the connection, if there is one."""


class HookedDatabase(Database):
    """Transactions of it are those of any other, and `hook` is called at every point of them."""

    def __init__(self, pool: asyncpg.Pool, hook: Hook) -> None:
        super().__init__(pool, 10)
        self._hook = hook

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Any]:
        await self._hook("before begin", None)
        async with super().transaction() as connection:
            yield _Hooked(connection, self._hook)
            await self._hook("before commit", connection)
        await self._hook("after commit", None)


class _Hooked:
    def __init__(self, connection: Any, hook: Hook) -> None:
        self._connection = connection
        self._hook = hook

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in ("execute", "fetch", "fetchrow", "fetchval"):
            return found

        async def call(query: str, *arguments: Any, **options: Any) -> Any:
            await self._hook(f"before {query}", self._connection)
            result = await found(query, *arguments, **options)
            await self._hook(f"after {query}", self._connection)
            return result

        return call


class Killer:
    """Kills at one point, counted from 1: the connection is cut and nothing more is done. 0 kills nowhere."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.points = 0

    async def __call__(self, point: str, connection: Any) -> None:
        self.points += 1
        if self.points == self.fatal:
            if connection is not None:
                connection.terminate()
            raise KilledError(point)
