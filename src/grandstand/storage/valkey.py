"""Clients of Valkey: of one server, of a primary that Sentinels know, of a cluster."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.cluster import ClusterNode
from valkey.asyncio.retry import Retry
from valkey.asyncio.sentinel import Sentinel, SentinelConnectionPool
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    ConnectionError as ValkeyConnectionError,
)
from valkey.exceptions import (
    ReadOnlyError,
)

from grandstand.storage.valkey_cluster import ClusterClient
from grandstand.storage.valkey_connections import ServerIdentity, noticing
from grandstand.storage.valkey_line import Taken, ValkeyLine
from grandstand.storage.valkey_servers import Client, ask_primaries
from grandstand.storage.valkey_urls import Servers, read_servers

_CONNECT_TIMEOUT_SECONDS = 2.0


async def memory_max_bytes(client: Valkey) -> int | None:
    """Return the most memory that the server takes, of several the least; None without such a limit.

    Raises:
        valkey.exceptions.ValkeyError: it is out of reach.
    """
    limits = [int(found.get("maxmemory", 0)) for found in await ask_primaries(client, "INFO", "memory")]
    return min(filter(None, limits), default=None)


class _Pool(BlockingConnectionPool):
    """Has a line for scripts beside its connections."""

    server: ServerIdentity
    line: ValkeyLine

    async def disconnect(self, inuse_connections: bool = True) -> None:
        await self.line.close()
        await super().disconnect(inuse_connections)


class _SentinelPool(SentinelConnectionPool):
    """Closes its connections to the Sentinels, too, when it is closed: the library leaves them open."""

    server: ServerIdentity
    line: ValkeyLine
    sentinel_manager: Sentinel

    async def disconnect(self, inuse_connections: bool = True) -> None:
        if inuse_connections:
            await self.line.close()
        else:
            # Whoever connects and finds another primary calls this, which may be the line itself.
            self.line.retire()
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for sentinel in self.sentinel_manager.sentinels:
                await sentinel.aclose()


class _Sentinels(Sentinel):
    """Those who know the primary; none of them is ever forgotten.

    The library moves the one that answered to the head of its list, by places that it read before it waited: of several
    callers at once, each time the primary was lost, one writes over what the other has moved. Sentinels that were lost
    so are asked no more and their connections stay open.
    """

    sentinels: list[Valkey]

    async def discover_master(self, service_name: str) -> Any:
        known = tuple(self.sentinels)
        try:
            return await super().discover_master(service_name)
        finally:
            self.sentinels[:] = dict.fromkeys((*self.sentinels, *known))


def server_of(client: Client) -> ServerIdentity:
    """Return the identity of the server of a client that `open_valkey` has made."""
    if isinstance(client, ClusterClient):
        return client.server
    pool = client.connection_pool
    if not isinstance(pool, _Pool | _SentinelPool):
        raise TypeError("Only clients of open_valkey know their server.")
    return pool.server


def runner_of(client: Client) -> Callable[..., Awaitable[Any]]:
    """Return what runs a command that the server answers at once: a line, if the client leads to one server."""
    # A cluster's has none. To ask for its class would cost more: the library's clients are typing protocols.
    pool = getattr(client, "connection_pool", None)
    if isinstance(pool, _Pool | _SentinelPool):
        return pool.line.run
    return client.execute_command  # type: ignore[no-any-return]


def open_valkey(url: str, *, timeout_seconds: float, connections_max: int = 50) -> Valkey:
    """Return a client; it connects at its first command. Replies are bytes.

    Raises:
        ValueError: the URL is wrong.
    """
    for old, new in (("redis://", "valkey://"), ("rediss://", "valkeys://")):
        if url.startswith(old):
            url = new + url.removeprefix(old)
    if (servers := read_servers(url)) is not None:
        return _open_many(servers, timeout_seconds)
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
    _prepare(pool, timeout_seconds)
    return Valkey.from_pool(pool)


def _open_many(servers: Servers, timeout_seconds: float) -> Valkey:
    options: dict[str, Any] = {
        **servers.options,
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": min(timeout_seconds, _CONNECT_TIMEOUT_SECONDS),
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 1, supported_errors=(ValkeyConnectionError,)),
        "retry_on_error": [ValkeyConnectionError],
    }
    sentinel_password = options.pop("sentinel_password", None)
    if servers.kind == "sentinel":
        sentinel = _Sentinels(  # type: ignore[no-untyped-call]
            servers.addresses,
            sentinel_kwargs={"password": sentinel_password, "socket_timeout": timeout_seconds,
                             "socket_connect_timeout": options["socket_connect_timeout"]},
        )  # fmt: skip
        options["retry_on_error"] = [ValkeyConnectionError, ReadOnlyError]
        primary: Valkey = sentinel.master_for(servers.service, connection_pool_class=_SentinelPool, **options)
        _prepare(cast("_SentinelPool", primary.connection_pool), timeout_seconds)
        return primary
    # A server that is away keeps nobody longer than one more try; the next call finds who took its place.
    cluster = ClusterClient(
        startup_nodes=[ClusterNode(host, port) for host, port in servers.addresses],
        cluster_error_retry_attempts=1,
        **options,
    )
    # It has the same commands, apart from those that `valkey_servers` is for.
    return cast("Valkey", cluster)


def _prepare(pool: _Pool | _SentinelPool, timeout_seconds: float) -> None:
    """Have a pool's connections noticed, and give it its line."""
    pool.server = ServerIdentity()
    pool.connection_class = noticing(pool.connection_class, pool.server)

    async def connect() -> Taken:
        connection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
        except BaseException:
            connection.drop()
            raise
        return cast("Taken", connection)

    pool.line = ValkeyLine(connect, timeout_seconds)
