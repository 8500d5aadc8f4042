"""Connection pools to PostgreSQL, and what its absence means to a caller."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg
import structlog

from grandstand.domain.errors import UnavailableError

_log = structlog.get_logger(__name__)

Connection = asyncpg.pool.PoolConnectionProxy
"""A connection lent by a pool."""

OUT_OF_REACH = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    # Too many connections, no memory, a full disk: the server's trouble, not that of a statement.
    asyncpg.InsufficientResourcesError,
    asyncpg.PostgresIOError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    # Its protocol loses its place when the server dies in the middle of an answer.
    asyncpg.InternalClientError,
)
"""What asyncpg raises when the server is away, going down, full or too slow; the same call may work later."""


async def open_pool(
    database_url: str,
    *,
    schema: str,
    size_min: int,
    size_max: int,
    statement_timeout_seconds: float,
    application_name: str,
) -> asyncpg.Pool:
    """Open a pool whose connections see `schema` first.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses.

    """
    settings = {
        "search_path": schema,
        "application_name": application_name,
        "jit": "off",
        # What disks have cost since they have no arms; the default makes the planner sort what an index has in order.
        "random_page_cost": "1.1",
        "TimeZone": "UTC",
        # A process that stands still in the middle of a transaction gives its locks back, and the others go on.
        "idle_in_transaction_session_timeout": str(int(statement_timeout_seconds * 1000)),
    }
    return await asyncpg.create_pool(
        database_url,
        min_size=size_min,
        max_size=size_max,
        max_inactive_connection_lifetime=30,
        max_queries=7_500,
        command_timeout=statement_timeout_seconds,
        timeout=5,
        server_settings=settings,
    )


_LAST_WORD_SECONDS = 1.0

OUT_OF_ORDER = (asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError)
"""What asyncpg raises when the server is there but cannot work: a full disk, no memory, a failing device."""

NOT_SET_UP = (asyncpg.SyntaxOrAccessError,)
"""What asyncpg raises when tables or rights are not those that this version expects, as during an upgrade."""


class UnfitValueError(Exception):
    """A value cannot be sent to the database: it has no form in the type of its column. Trying again is of no use."""


class Database:
    """A pool with a bounded wait, whose failures callers can answer with 503."""

    def __init__(self, pool: asyncpg.Pool, acquire_timeout_seconds: float) -> None:
        self.pool = pool
        self._acquire_timeout_seconds = acquire_timeout_seconds
        self.waiting = 0
        """How many callers wait for a connection right now."""

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[Connection[Any]]":
        """Lend a connection.

        Raises:
            UnavailableError: no connection came free in time, or the server is out of reach, now or during the block.
            UnfitValueError: a value has no form in the type of its column.

        """
        try:
            self.waiting += 1
            try:
                lent = await self.pool.acquire(timeout=self._acquire_timeout_seconds)
            finally:
                self.waiting -= 1
            try:
                yield lent
            except asyncio.CancelledError:
                # Who is cancelled stays so, whatever becomes of the connection, and waits only a moment for it.
                with suppress(*OUT_OF_REACH, asyncpg.PostgresError):
                    await self.pool.release(lent, timeout=_LAST_WORD_SECONDS)
                raise
            except BaseException:
                await self.pool.release(lent)
                raise
            await self.pool.release(lent)
        except OUT_OF_REACH as error:
            # The library files its refusals of values under the errors of connections, too.
            if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
                raise UnfitValueError(str(error)) from error
            if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
                # It is no longer the primary. New connections lead to whoever has its name now.
                await self.pool.expire_connections()
            if isinstance(error, asyncpg.DiskFullError):
                _log.error("disk_full", engine="postgres", error=str(error))
            raise UnavailableError("The database cannot be reached right now.") from error
        except OUT_OF_ORDER as error:
            raise UnavailableError(f"The database cannot work right now: {error.args[0]}.") from error

    @asynccontextmanager
    async def transaction(self) -> "AsyncIterator[Connection[Any]]":
        """Lend a connection inside a transaction: committed at the end of the block, rolled back on an exception.

        Raises:
            UnavailableError: as for `connection`.

        """
        # Named, whatever the server's default is: after waiting for a lock, a statement must see what others committed.
        async with self.connection() as connection, _transaction(connection, isolation="read_committed"):
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> "AsyncIterator[Connection[Any]]":
        """Lend a connection whose statements all see the database as of the first one; it cannot write.

        Raises:
            UnavailableError: as for `connection`.
        """
        async with (
            self.connection() as connection,
            _transaction(connection, isolation="repeatable_read", readonly=True),
        ):
            yield connection


@asynccontextmanager
async def _transaction(connection: "Connection[Any]", **options: Any) -> AsyncIterator[None]:
    """As the library's own, but who is cancelled waits only a moment for the rollback: a server may not answer."""
    transaction = connection.transaction(**options)
    await transaction.start()
    try:
        yield
    except asyncio.CancelledError:
        try:
            async with asyncio.timeout(_LAST_WORD_SECONDS):
                await transaction.rollback()
        except (*OUT_OF_REACH, asyncpg.PostgresError):
            # The server rolls back what breaks off.
            connection.terminate()
        raise
    except BaseException:
        await transaction.rollback()
        raise
    await transaction.commit()
