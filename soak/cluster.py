"""A Valkey Cluster that the harness runs beside PostgreSQL: three primaries with a replica each, each behind a proxy.

Clients and replicas reach a node only by the port that it announces, which is its proxy's; the bus is its own.
"""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import valkey.asyncio
from valkey.exceptions import ValkeyError

from grandstand.embedded.binaries import valkey_program
from soak.engines import ProxiedEngines
from soak.proxy import Proxy, to_port

_PRIMARIES = 3
_SLOTS = 16_384
_BUS_OFFSET = 10_000
_NODE_TIMEOUT_MILLISECONDS = 2000
_START_SECONDS = 60.0
_POLL_SECONDS = 0.05


class Node:
    """One server, on a port of its own and behind a proxy; started again, it has what is on its disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = _free_port()
        self.proxy = Proxy(to_port(lambda: self.port))
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "port": self.port, "bind": "127.0.0.1", "protected-mode": "no", "dir": self._folder, "save": "",
            "appendonly": "yes", "appendfsync": "always", "cluster-enabled": "yes",
            "cluster-node-timeout": _NODE_TIMEOUT_MILLISECONDS, "cluster-announce-ip": "127.0.0.1",
            "cluster-announce-port": self.proxy.port, "cluster-announce-bus-port": self.port + _BUS_OFFSET,
            "repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1,
            # While a shard is away the streams of the others take events.
            "cluster-require-full-coverage": "no",
        }  # fmt: skip
        arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        with (self._folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(valkey_program()), *arguments, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
            )
        await _until(lambda: self.ask("PING"))

    async def ask(self, *command: Any) -> Any:
        """Send a command past the proxy."""
        async with valkey.asyncio.Valkey(host="127.0.0.1", port=self.port, socket_timeout=5) as client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]

    async def end(self) -> None:
        """Let it end in its own way, and wait for that."""
        if self.process is not None:
            self.process.terminate()
            await self.process.wait()

    async def kill(self) -> None:
        """`kill -9`, and wait for the end."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


class ClusteredEngines(ProxiedEngines):
    """PostgreSQL as with `ProxiedEngines`, and a cluster in place of the one Valkey."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, with_valkey=False)
        self._folder = folder.with_name("cluster")
        self.nodes: list[Node] = []

    async def start(self) -> None:
        """Start everything; every primary has its replica at the end."""
        await super().start()
        self.nodes = [Node(self._folder / str(number)) for number in range(2 * _PRIMARIES)]
        for node in self.nodes:
            await node.proxy.start()
        await asyncio.gather(*(node.start() for node in self.nodes))
        primaries, replicas = self.nodes[:_PRIMARIES], self.nodes[_PRIMARIES:]
        for number, node in enumerate(primaries):
            ends = _SLOTS * number // _PRIMARIES, _SLOTS * (number + 1) // _PRIMARIES - 1
            await node.ask("CLUSTER", "ADDSLOTSRANGE", *ends)
            await node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            await self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.port + _BUS_OFFSET)
        for primary, replica in zip(primaries, replicas, strict=True):
            await _until(lambda p=primary, r=replica: _follow(p, r))  # type: ignore[misc]
        await self.wait_until_whole()
        self.valkey_url = "valkey+cluster://" + ",".join(f"127.0.0.1:{node.proxy.port}" for node in self.nodes)

    def environment(self) -> dict[str, str]:
        """Return the settings that lead a tree to the cluster."""
        return super().environment() | {"GRANDSTAND_VALKEY_URL": self.valkey_url}

    async def stop(self) -> None:
        """End everything."""
        for node in self.nodes:
            await node.kill()
            await node.proxy.stop()
        await super().stop()

    async def wait_until_whole(self) -> None:
        """Wait until every slot has a primary and every primary its replica.

        Raises:
            TimeoutError: it does not come to that.
        """
        await _until(self._is_whole)

    async def replica_of(self, primary: Node) -> Node:
        """Return the node that follows this one."""
        followed = [(node, await node.ask("ROLE")) for node in self.nodes if node is not primary]
        return next(node for node, role in followed if role[0] == b"slave" and role[2] == primary.proxy.port)

    async def wait_until_primary(self, node: Node) -> None:
        """Wait until a replica has taken over.

        Raises:
            TimeoutError: it does not come to that.
        """

        async def has_taken_over() -> bool:
            return bool((await node.ask("ROLE"))[0] == b"master")

        await _until(has_taken_over)

    async def _is_whole(self) -> bool:
        roles = [await node.ask("ROLE") for node in self.nodes]
        followed = sum(len(role[2]) for role in roles if role[0] == b"master")
        states = [str(await node.ask("CLUSTER", "INFO")) for node in self.nodes]
        is_ok = all("cluster_state:ok" in state or "'cluster_state': 'ok'" in state for state in states)
        return is_ok and followed == _PRIMARIES


async def _follow(primary: Node, replica: Node) -> bool:
    await replica.ask("CLUSTER", "REPLICATE", await primary.ask("CLUSTER", "MYID"))
    return True


async def _until(condition: Callable[[], Awaitable[Any]]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError, ValkeyError):
            if await condition():
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"The cluster is not there after {_START_SECONDS:.0f} s.")
        await asyncio.sleep(_POLL_SECONDS)


def _free_port() -> int:
    """Return a free port whose neighbour for the bus is free, too."""
    while True:
        with socket.socket() as probe, socket.socket() as bus:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                bus.bind(("127.0.0.1", port + _BUS_OFFSET))
                return port
