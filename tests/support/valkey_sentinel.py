"""A real primary with two replicas, watched by three Sentinels, in folders of their own."""

import subprocess
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from valkey import Valkey

from grandstand.embedded.binaries import valkey_program
from tests.support.valkey_cluster import Node, running
from tests.support.waiting import eventually

SERVICE = "grandstand"
_DOWN_AFTER_MILLISECONDS = 1500
_SERVERS = 3
_SENTINELS = 3


class Watched:
    """`nodes`: the first begins as the primary. `ports`: those of the Sentinels."""

    def __init__(self, folder: Path, ports: Sequence[int]) -> None:
        self._folder = folder
        self.nodes = [
            Node(folder / str(number), port, **({"replicaof": f"127.0.0.1 {ports[0]}"} if number else {}))
            for number, port in enumerate(ports[:_SERVERS])
        ]
        self.ports = ports[_SERVERS:]
        self._sentinels: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        return f"valkey+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{SERVICE}"

    @property
    def primary(self) -> Node:
        """The one that the Sentinels name."""
        with Valkey(host="127.0.0.1", port=self.ports[0], socket_timeout=5) as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return next(node for node in self.nodes if node.port == int(port))

    def start(self) -> None:
        for node in self.nodes:
            node.start()
        eventually(self.is_replicated, 30)
        for number, port in enumerate(self.ports):
            self._start_sentinel(number, port)
        eventually(self._know_each_other, 30)

    def is_replicated(self) -> bool:
        """Whether the primary has two replicas that have its writes on disk."""
        primary = next(node for node in self.nodes if node.is_up and node.role == "master")
        with Valkey(host="127.0.0.1", port=primary.port, socket_timeout=5, single_connection_client=True) as client:
            client.set("probe", 1, ex=1)
            return client.execute_command("WAITAOF", 1, 2, 500) == [1, 2]

    def stop(self) -> None:
        for sentinel in self._sentinels:
            sentinel.kill()
            sentinel.wait()
        for node in self.nodes:
            node.kill()

    def _start_sentinel(self, number: int, port: int) -> None:
        # It writes into this file what it finds.
        settings = self._folder / f"sentinel-{number}.conf"
        settings.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\nprotected-mode no\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.nodes[0].port} 2\n"
            f"sentinel down-after-milliseconds {SERVICE} {_DOWN_AFTER_MILLISECONDS}\n"
            f"sentinel failover-timeout {SERVICE} 10000\n"
            f"sentinel parallel-syncs {SERVICE} 2\n"
        )
        with (self._folder / f"sentinel-{number}.log").open("ab") as log:
            self._sentinels.append(
                subprocess.Popen(
                    [str(valkey_program()), str(settings), "--sentinel"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def _know_each_other(self) -> bool:
        for port in self.ports:
            with Valkey(host="127.0.0.1", port=port, socket_timeout=5) as client:
                watched = client.info("sentinel")["master0"]
                if (watched["slaves"], watched["sentinels"]) != (2, _SENTINELS):
                    return False
        return True


def running_sentinels() -> AbstractContextManager[Watched]:
    return running(Watched, "sentinel", _SERVERS + _SENTINELS)
