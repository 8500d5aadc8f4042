"""A real Valkey Cluster of the tests' own: three primaries with a replica each, in folders of their own."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol, TypeVar

from soak.ports import HeldPort
from valkey import Valkey
from valkey.crc import key_slot

from grandstand.embedded.binaries import valkey_program
from tests.support.waiting import eventually

PRIMARIES = 3
SLOTS = 16384
_BUS_OFFSET = 10_000
_NODE_TIMEOUT_MILLISECONDS = 2000


class Node:
    """One server; it can be killed and started again on what it has on disk."""

    def __init__(self, folder: Path, port: int, **settings: object) -> None:
        self.folder, self.port, self.settings = folder, port, settings
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    def start(self) -> None:
        settings = {
            "port": self.port, "bind": "127.0.0.1", "dir": self.folder, "appendonly": "yes", "appendfsync": "always",
            "save": "", "repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1, "protected-mode": "no",
            **{name.replace("_", "-"): value for name, value in self.settings.items()},
        }  # fmt: skip
        arguments = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(valkey_program()), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        eventually(lambda: self.ask("PING"), what="the node answers")

    def ask(self, *command: object) -> object:
        with Valkey(host="127.0.0.1", port=self.port, socket_timeout=5) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def suspend(self) -> None:
        """Stand still: connections stay and nothing is answered."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def role(self) -> str:
        return self.ask("ROLE")[0].decode()  # type: ignore[index]


class Cluster:
    """`nodes`: the first three begin as primaries, each of the others as the replica of one of them."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self.nodes = [
            Node(folder / str(number), port, cluster_enabled="yes", cluster_node_timeout=_NODE_TIMEOUT_MILLISECONDS)
            for number, port in enumerate(ports)
        ]

    @property
    def url(self) -> str:
        return "valkey+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        primaries, replicas = self.nodes[:PRIMARIES], self.nodes[PRIMARIES:]
        for number, node in enumerate(primaries):
            node.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            self.nodes[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.port + _BUS_OFFSET)
        eventually(lambda: all(b"cluster_state:ok" in self._info(node) for node in self.nodes), 20)
        for primary, replica in zip(primaries, replicas, strict=True):
            name = primary.ask("CLUSTER", "MYID")
            eventually(lambda r=replica, n=name: r.ask("CLUSTER", "REPLICATE", n), 20)
        eventually(self.is_replicated, 30, what="every primary has its replica")

    def is_replicated(self) -> bool:
        """Whether every primary has a replica that has its writes on disk."""
        primaries = [node for node in self.nodes if node.role == "master"]
        return len(primaries) == PRIMARIES and all(map(self._is_synced, primaries))

    def _is_synced(self, primary: Node) -> bool:
        owned = [
            (first, last) for first, last, owner, *_ in primary.ask("CLUSTER", "SLOTS") if owner[1] == primary.port
        ]
        key = next(
            f"probe-{number}"
            for number in range(1000)
            if any(first <= key_slot(b"probe-%d" % number) <= last for first, last in owned)
        )
        with Valkey(host="127.0.0.1", port=primary.port, socket_timeout=5, single_connection_client=True) as client:
            client.set(key, 1, ex=1)
            return client.execute_command("WAITAOF", 1, 1, 500) == [1, 1]

    def primary_of(self, key: str) -> Node:
        """The node that has a key and takes writes."""
        slot = int(self.nodes[0].ask("CLUSTER", "KEYSLOT", key)) if self.nodes[0].is_up else None
        for node in self.nodes:
            if not node.is_up:
                continue
            slot = int(node.ask("CLUSTER", "KEYSLOT", key)) if slot is None else slot
            for first, last, owner, *_ in node.ask("CLUSTER", "SLOTS"):  # type: ignore[attr-defined]
                if first <= slot <= last:
                    return next(one for one in self.nodes if one.port == owner[1])
        raise LookupError(key)

    def stop(self) -> None:
        for node in self.nodes:
            node.kill()

    def _info(self, node: Node) -> bytes:
        return _text(node.ask("CLUSTER", "INFO"))


def _text(reply: object) -> bytes:
    if isinstance(reply, dict):
        return "\r\n".join(f"{name}:{value}" for name, value in reply.items()).encode()
    return bytes(reply)  # type: ignore[call-overload]


@contextmanager
def held_ports(count: int) -> Iterator[list[int]]:
    """Ports whose neighbours for the cluster's bus are free, too; nobody else gets any of them until the end."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            bus = held.enter_context(HeldPort())
            try:
                port = held.enter_context(HeldPort(bus.number - _BUS_OFFSET))
            except OSError:
                continue
            ports.append(port.number)
        yield ports


class Servers(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


_S = TypeVar("_S", bound=Servers)


@contextmanager
def running(servers: Callable[[Path, list[int]], _S], name: str, count: int) -> Iterator[_S]:
    """So many servers that belong together, in a folder and on ports of their own, until the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"grandstand-{name}-"))
    with held_ports(count) as ports:
        made = servers(folder, ports)
        try:
            made.start()
            yield made
        finally:
            made.stop()
            shutil.rmtree(folder, ignore_errors=True)


def running_cluster() -> AbstractContextManager[Cluster]:
    return running(Cluster, "cluster", 2 * PRIMARIES)
