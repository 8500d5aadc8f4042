"""Connection pools to PostgreSQL, and what its absence means to a caller."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import asyncpg
import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.storage.known_types import TypedConnection
from grandstand.storage.sessions import session_settings
from grandstand.telemetry import metrics, traces

_log = structlog.get_logger(__name__)

T = TypeVar("T")

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
    query_timeout_seconds: float | None = None,
    idle_seconds: float = 30.0,
    uses_max: int = 7_500,
    only_reads: bool = False,
    keeps_sessions: bool = True,
) -> asyncpg.Pool:
    """Open a pool whose connections see `schema` first.

    Without `keeps_sessions` a pooler stands before PostgreSQL that may run each transaction in another session: nothing
    is set or prepared in one, and the `Database` of the pool says `local_settings` at the start of every transaction.

    A query is given up after `query_timeout_seconds` (`statement_timeout_seconds` when that is None) unless its caller
    names another time. With `only_reads` PostgreSQL refuses to write, and ends statements by itself after
    `statement_timeout_seconds`; statements that write may be allowed longer, so there it is left to their callers.

    Raises:
        OSError, asyncpg.PostgresError: the server cannot be reached or refuses.

    """
    settings = session_settings(schema, statement_timeout_seconds=statement_timeout_seconds, only_reads=only_reads)
    options: dict[str, Any] = {}
    if not keeps_sessions:
        settings = {}
        options = {"statement_cache_size": 0}
    return await asyncpg.create_pool(
        database_url,
        min_size=size_min,
        max_size=size_max,
        max_inactive_connection_lifetime=idle_seconds,
        max_queries=uses_max,
        command_timeout=query_timeout_seconds or statement_timeout_seconds,
        timeout=5,
        server_settings={"application_name": application_name, **settings},
        reset=_leave_as_it_is,
        connection_class=TypedConnection,
        **options,
    )


async def _leave_as_it_is(_: "asyncpg.Connection[Any]") -> None:
    """Stands for the library's own way of tidying a session: a round trip each time a connection is given back.

    There is nothing to tidy, as our statements set and lock only until the end of their transaction
    (tests/unit/test_sql_leaves_sessions.py), and a transaction that is left open is rolled back before. Behind a pooler
    it would tidy somebody else's session.
    """


async def open_cursor(
    connection: "Connection[Any]", query: str, *arguments: Any, timeout_seconds: float | None = None
) -> "asyncpg.cursor.Cursor[Any]":
    """Return a cursor over the rows of a query, inside the caller's transaction.

    The library's own prepares a statement with a name, which outlives the transaction in the session that it ran in.
    """
    statement = await connection.prepare(query, name="", timeout=timeout_seconds)
    return await statement.cursor(*arguments, timeout=timeout_seconds)


_LAST_WORD_SECONDS = 1.0

OUT_OF_ORDER = (asyncpg.InsufficientResourcesError, asyncpg.PostgresSystemError)
"""What asyncpg raises when the server is there but cannot work: a full disk, no memory, a failing device."""

NOT_SET_UP = (asyncpg.SyntaxOrAccessError,)
"""What asyncpg raises when tables or rights are not those that this version expects, as during an upgrade."""


class UnfitValueError(Exception):
    """A value cannot be sent to the database: it has no form in the type of its column. Trying again is of no use."""


WAITING_PER_CONNECTION_MAX = 20
"""Callers that may wait for each connection that a pool may open; further ones are refused without a wait."""


class Database:
    """A pool with a bounded wait, whose failures callers can answer with 503. Metrics call it `name`.

    With `local_settings` every connection is lent inside a transaction that begins with them.
    """

    def __init__(
        self, pool: asyncpg.Pool, acquire_timeout_seconds: float, name: str = "write", local_settings: str = ""
    ) -> None:
        self.pool = pool
        self.name = name
        self._local_settings = local_settings
        self._acquire_timeout_seconds = acquire_timeout_seconds
        self.waiting = 0
        """How many callers wait for a connection right now."""
        # Found once: each connection that is lent is counted, and looking a series up costs more than setting it.
        self._acquire_seconds = metrics.POOL_ACQUIRE_SECONDS.labels(name)
        self._total, self._idle = (metrics.POOL_CONNECTIONS.labels(name, state) for state in ("total", "idle"))
        self._waiting = metrics.POOL_WAITING.labels(name)
        metrics.POOL_CONNECTIONS.labels(name, "max").set(pool.get_max_size())

    @property
    def connections_max(self) -> int:
        """How many may be lent at once."""
        return self.pool.get_max_size()

    async def _acquire(self) -> "Connection[Any]":
        if self.waiting >= WAITING_PER_CONNECTION_MAX * self.pool.get_max_size():
            raise UnavailableError("Too many requests wait for the database.")
        began_at = time.monotonic()
        self.waiting += 1
        try:
            return await self.pool.acquire(timeout=self._acquire_timeout_seconds)
        finally:
            self.waiting -= 1
            self._acquire_seconds.observe(time.monotonic() - began_at)
            self._show_use()

    def _show_use(self) -> None:
        self._total.set(self.pool.get_size())
        self._idle.set(self.pool.get_idle_size())
        self._waiting.set(self.waiting)

    @asynccontextmanager
    async def connection(self) -> "AsyncIterator[Connection[Any]]":
        """Lend a connection. Whether what it writes is there before the end of the block depends on the settings.

        Raises:
            UnavailableError: no connection came free in time, or the server is out of reach, now or during the block.
            UnfitValueError: a value has no form in the type of its column.

        """
        async with self.transaction() if self._local_settings else self._lend() as connection:
            yield connection

    @asynccontextmanager
    async def _lend(self) -> "AsyncIterator[Connection[Any]]":
        try:
            lent = await self._acquire()
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
            else:
                await self.pool.release(lent)
            finally:
                self._show_use()
        except OUT_OF_REACH as error:
            # The library files its refusals of values under the errors of connections, too, as it does URLs.
            is_value = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
            if is_value and not isinstance(error, asyncpg.ClientConfigurationError):
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
        async with self._lend() as connection, self._begun(connection, isolation="read_committed"):
            yield connection

    @asynccontextmanager
    async def frozen_transaction(self) -> "AsyncIterator[Connection[Any]]":
        """Lend a connection inside a transaction whose statements all see the database as of the first that reads it.

        Raises:
            UnavailableError: as for `connection`.
            asyncpg.SerializationError: another transaction changed a row meanwhile that this one changes, too.
        """
        async with self.connection() as connection, _transaction(connection, isolation="repeatable_read"):
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> "AsyncIterator[Connection[Any]]":
        """Lend a connection whose statements all see the database as of the first one; it cannot write.

        Raises:
            UnavailableError: as for `connection`.
        """
        async with (
            self._lend() as connection,
            self._begun(connection, isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def read(
        self,
        work: "Callable[[Connection[Any]], Awaitable[T]]",
        *,
        in_snapshot: bool = False,
        server: str = "primary",  # noqa: ARG002 - as callers say it to what has a choice
    ) -> T:
        """Return what `work` reads on a connection. There is no other `server` here.

        Raises:
            UnavailableError: as for `connection`.
        """
        async with self.snapshot() if in_snapshot else self.connection() as connection:
            return await work(connection)

    @asynccontextmanager
    async def _begun(self, connection: "Connection[Any]", **options: Any) -> AsyncIterator[None]:
        async with _transaction(connection, **options):
            if self._local_settings:
                await connection.execute(self._local_settings)
            yield


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
    with traces.span("commit"):
        await transaction.commit()
