"""The client of a Valkey Cluster: the library's, with what it leaves undone when servers come and go."""

import asyncio
from typing import Any, cast

from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import (
    ConnectionError as ValkeyConnectionError,
)
from valkey.exceptions import (
    SlotNotCoveredError,
    ValkeyClusterException,
)

from grandstand.storage.valkey_connections import ServerIdentity, noticing

_NOBODY = ClusterNode("", 0)


class _Connections:
    """All connections of a client that are open or being opened, whichever of its servers they lead to.

    The library closes those of the servers that it knows. One over which a command was under way while it looked for
    the servers anew connects again, belongs to nothing that it knows, and stays open.
    """

    def __init__(self) -> None:
        self.is_closed = self.has_lost = False
        self._open: set[AbstractConnection] = set()
        self._left: set[AbstractConnection] = set()

    def opens(self, connection: AbstractConnection) -> None:
        """Keep a connection.

        Raises:
            valkey.exceptions.ConnectionError: the client is closed.
        """
        if self.is_closed:
            raise ValkeyConnectionError("The client is closed.")
        self._open.add(connection)

    def closes(self, connection: AbstractConnection) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._left.discard(connection)

    async def leave(self, known: set[AbstractConnection]) -> None:
        """Close those that were not `known` the last time either: what was under way over them has ended by now."""
        left = self._open - known
        ended, self._left = left & self._left, left
        await _disconnect(ended)

    async def close(self) -> None:
        """Close all, and those that are being opened as soon as they are."""
        self.is_closed = True
        await _disconnect(self._open)


async def _disconnect(connections: set[AbstractConnection]) -> None:
    # Whether it says goodbye does not matter to who leaves.
    await asyncio.gather(*(one.disconnect() for one in tuple(connections)), return_exceptions=True)


def _kept(connection_class: type[AbstractConnection], connections: _Connections) -> type[AbstractConnection]:
    """Return a connection that is among the client's from before it is open until it is closed."""

    class Kept(connection_class):  # type: ignore[misc,valid-type]
        is_lost = False
        """Whether a command could not be sent: the library lends it to nobody any more, and keeps it all the same."""

        async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            try:
                await super().send_packed_command(command, check_health)
            except BaseException:
                self.is_lost = connections.has_lost = True
                raise

        async def connect(self) -> None:
            if self.is_connected:
                return
            connections.opens(self)
            try:
                await super().connect()
                # Once more: between two tries it disconnects, and the client may have been closed meanwhile.
                connections.opens(self)
            except BaseException:
                # Also when the caller is cancelled: a reply that nobody waits for would be the next command's.
                await self.disconnect(nowait=True)
                raise

        async def disconnect(self, nowait: bool = False) -> None:
            try:
                await super().disconnect(nowait)
            finally:
                # Also where it took too long, or who closed it was cancelled.
                if not self.is_connected:
                    connections.closes(self)

    return Kept


class ClusterClient(ValkeyCluster):
    """Closes all that it opened, and says that no server can be found in the way that every caller expects.

    The library's own error is no ValkeyError.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.server = ServerIdentity()
        self._connections = _Connections()
        self._slots_looked_up: object = None
        kwargs = self.connection_kwargs
        ours = _kept(noticing(kwargs["connection_class"], self.server, has_many=True), self._connections)
        kwargs["connection_class"] = ours
        for node in self.nodes_manager.startup_nodes.values():
            node.connection_class = ours  # type: ignore[assignment]
        self._first_nodes = dict(self.nodes_manager.startup_nodes)

    async def initialize(self) -> "ClusterClient":
        """Find the servers, if they are not known.

        Raises:
            valkey.exceptions.ConnectionError: none can be used.
        """
        self._forget_lost()
        manager = self.nodes_manager
        # The library asks those no more that a command has failed on, and once there was one on each, nobody.
        known = self._first_nodes | manager.nodes_cache
        if not manager.startup_nodes:
            manager.startup_nodes = dict(known)
        asked = frozenset(manager.startup_nodes)
        try:
            await super().initialize()
        except ValkeyClusterException as error:
            # The next try has the others: to ask all would keep who waits for twice as long where servers hang.
            others = {name: node for name, node in known.items() if name not in asked}
            manager.startup_nodes = others or dict(known)
            raise ValkeyConnectionError(f"No server of the cluster can be used: {error}") from error
        if manager.slots_cache is not self._slots_looked_up:
            self._slots_looked_up = manager.slots_cache
            await self._connections.leave({connection for node in self._nodes() for connection in node._connections})
        return self

    def _nodes(self) -> tuple[ClusterNode, ...]:
        return *self.nodes_manager.nodes_cache.values(), *self.nodes_manager.startup_nodes.values()

    def _forget_lost(self) -> None:
        """Let go of connections over which nothing could be sent; else each try leaves one while a server is away."""
        if self._connections.has_lost:
            self._connections.has_lost = False
            for node in self._nodes():
                node._connections = [one for one in node._connections if not cast("Any", one).is_lost]

    async def aclose(self) -> None:
        """Close all connections; the client is of no use any more."""
        await super().aclose()
        await self._connections.close()

    def get_default_node(self) -> ClusterNode:
        """Return the server that commands without a key go to; while the servers are looked for, one that is none."""
        # The library asks for its name when a pipeline is back, which may be then.
        node: ClusterNode | None = super().get_default_node()
        return _NOBODY if node is None else node

    async def _determine_slot(self, command: str, *args: Any) -> int:
        if command == "XREADGROUP":
            # The library asks some server which argument is a key, and for ever the same one, be it dead.
            return int(self.keyslot(args[args.index(b"STREAMS") + 1]))
        return int(await super()._determine_slot(command, *args))

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command on the server that has its key.

        Raises:
            valkey.exceptions.ValkeyError: none of them has, or the command failed.
        """
        self._forget_lost()
        try:
            return await super().execute_command(*args, **kwargs)
        except SlotNotCoveredError as error:
            raise ValkeyConnectionError(str(error)) from error
