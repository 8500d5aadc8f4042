"""Clients of Valkey: of one server, of a primary that Sentinels know, of a cluster."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import uuid4

from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.asyncio.connection import AbstractConnection
from valkey.asyncio.retry import Retry
from valkey.asyncio.sentinel import Sentinel, SentinelConnectionPool
from valkey.backoff import NoBackoff
from valkey.exceptions import (
    ConnectionError as ValkeyConnectionError,
)
from valkey.exceptions import (
    ReadOnlyError,
    ResponseError,
    SlotNotCoveredError,
    ValkeyClusterException,
)
from valkey.exceptions import (
    TimeoutError as ValkeyTimeoutError,
)

from grandstand.storage.valkey_line import Taken, ValkeyLine
from grandstand.storage.valkey_servers import Client, ask_primaries
from grandstand.storage.valkey_urls import Servers, read_servers

_CONNECT_TIMEOUT_SECONDS = 2.0
_RUN_ID = re.compile(rb"^run_id:(\w+)", re.MULTILINE)


async def memory_max_bytes(client: Valkey) -> int | None:
    """Return the most memory that the server takes, of several the least; None without such a limit.

    Raises:
        valkey.exceptions.ValkeyError: it is out of reach.
    """
    limits = [int(found.get("maxmemory", 0)) for found in await ask_primaries(client, "INFO", "memory")]
    return min(filter(None, limits), default=None)


class ServerIdentity:
    """Which run of which server a client's newest connection leads to.

    It is another one after the server was started anew, or another server took its place. It is known before the first
    reply that comes over the connection.
    """

    def __init__(self) -> None:
        self.run_id = ""
        self._runs: dict[str, str] = {}

    def note(self, address: str, run_id: str) -> None:
        """Take in which run a new connection leads to. Of a cluster the runs of all servers together count."""
        self._runs[address] = run_id
        self.run_id = ",".join(sorted(self._runs.values()))


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


class _Cluster(ValkeyCluster):
    """Says that no server can be found in the way that every caller expects: the library's own is no ValkeyError."""

    server: ServerIdentity

    async def initialize(self) -> "_Cluster":
        try:
            await super().initialize()
        except ValkeyClusterException as error:
            raise ValkeyConnectionError(f"No server of the cluster can be used: {error}") from error
        return self

    async def _determine_slot(self, command: str, *args: Any) -> int:
        if command == "XREADGROUP":
            # The library asks some server which argument is a key, and for ever the same one, be it dead.
            return int(self.keyslot(args[args.index(b"STREAMS") + 1]))
        return int(await super()._determine_slot(command, *args))

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().execute_command(*args, **kwargs)
        except SlotNotCoveredError as error:
            raise ValkeyConnectionError(str(error)) from error


def server_of(client: Client) -> ServerIdentity:
    """Return the identity of the server of a client that `open_valkey` has made."""
    if isinstance(client, _Cluster):
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
    cluster = _Cluster(
        startup_nodes=[ClusterNode(host, port) for host, port in servers.addresses],
        cluster_error_retry_attempts=1,
        **options,
    )
    cluster.server = ServerIdentity()
    kwargs = cluster.connection_kwargs
    kwargs["connection_class"] = _noticing(kwargs["connection_class"], cluster.server, has_many=True)
    # It has the same commands, apart from those that `valkey_servers` is for.
    return cast("Valkey", cluster)


def _prepare(pool: _Pool | _SentinelPool, timeout_seconds: float) -> None:
    """Have a pool's connections noticed, and give it its line."""
    pool.server = ServerIdentity()
    pool.connection_class = _noticing(pool.connection_class, pool.server)

    async def connect() -> Taken:
        connection = pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
        except BaseException:
            connection.drop()
            raise
        return cast("Taken", connection)

    pool.line = ValkeyLine(connect, timeout_seconds)


class _Takeable:
    """What a connection of the library's has to have as `valkey_line.Taken`."""

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter
    _parser: Any
    _close: Callable[[], None]

    def hand_over(self, protocol: asyncio.Protocol) -> tuple[asyncio.Transport, Callable[[str], Exception]]:
        transport = cast("asyncio.Transport", self._writer.transport)
        if transport.is_closing() or self._reader.at_eof():
            raise ValkeyConnectionError("The server closed the connection.")
        transport.set_protocol(protocol)
        return transport, self._parser.parse_error

    def drop(self) -> None:
        self._parser.on_disconnect()
        self._close()


def _noticing(
    connection_class: type[AbstractConnection], server: ServerIdentity, *, has_many: bool = False
) -> type[AbstractConnection]:
    """Return a connection that notes which server it leads to, and tells when it is closed as every caller expects.

    uvloop raises RuntimeError for a write to a connection that was closed a moment ago. A client of a cluster that
    looks for the servers anew closes connections that are just being made, which then have nothing to write to.
    """

    class Noticing(_Takeable, connection_class):  # type: ignore[misc,valid-type]
        async def on_connect(self) -> None:
            await super().on_connect()
            await self.send_command("INFO", "server", check_health=False)
            try:
                found = _RUN_ID.search(await self.read_response(disable_decoding=True))
            except ResponseError:
                found = None
            # A server that hides it counts as another one with each connection.
            run_id = found[1].decode() if found else uuid4().hex
            server.note(f"{self.host}:{self.port}" if has_many else "", run_id)

        async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            # The library's own waits by `asyncio.wait_for`, which makes a task for each command and, before Python
            # 3.12, now and then loses that its caller was cancelled (python/cpython#86296).
            if not self.is_connected:
                await self.connect()
            elif check_health:
                await self.check_health()
            if isinstance(command, str | bytes):
                command = [command.encode() if isinstance(command, str) else command]
            try:
                self._writer.writelines(command)
                async with asyncio.timeout(self.socket_timeout):
                    await self._writer.drain()
            except TimeoutError:
                await self.disconnect(nowait=True)
                raise ValkeyTimeoutError("Timeout writing to socket") from None
            except (OSError, RuntimeError, AttributeError) as error:
                await self.disconnect(nowait=True)
                raise ValkeyConnectionError(f"The connection is closed: {error}") from error
            except BaseException:
                # What was sent in part is the begin of nothing else.
                await self.disconnect(nowait=True)
                raise

    return Noticing
