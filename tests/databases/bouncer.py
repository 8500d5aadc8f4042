"""A real PgBouncer in transaction mode before the session's PostgreSQL, with few sessions that take turns."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from scripts.programs import program
from soak.ports import HeldPort

from tests.faults.ways import Way, open_way
from tests.support.engines import RunningEngines
from tests.support.waiting import eventually

SESSIONS = 6
CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} user=grandstand

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
max_client_conn = 300
default_pool_size = {sessions}
server_round_robin = 1
{user}
"""


@dataclass
class Bouncer:
    """A PgBouncer that can be stopped and started again; clients of the same database share `SESSIONS` sessions."""

    way: Way
    folder: Path
    port: int
    _process: "subprocess.Popen[bytes] | None" = None

    def url(self, database: str) -> str:
        return f"postgresql://grandstand@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        found = program("pgbouncer")
        path = self.folder / "pgbouncer.ini"
        path.write_text(
            CONFIGURATION.format(
                server_port=self.way.port,
                port=self.port,
                sessions=SESSIONS,
                # It refuses to be root, and becomes another user by itself.
                user="user = nobody" if os.geteuid() == 0 else "",
            )
        )
        with (self.folder / "pgbouncer.log").open("ab") as log:
            self._process = subprocess.Popen(
                [found.command, str(path)], env=os.environ | found.environment, stdout=log, stderr=log
            )
        eventually(self._answers, 20, "PgBouncer answers")

    def stop(self) -> None:
        """End it at once, with every connection."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "pgbouncer.log").read_text()
        with psycopg.connect(self.url("postgres"), connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)


@contextmanager
def running_bouncer(engines: RunningEngines, folder: Path) -> Iterator[Bouncer]:
    # A way of TCP: the engine's socket is closed to the user that PgBouncer becomes.
    with open_way(engines.socket_folder / ".s.PGSQL.5432") as way, HeldPort() as port:
        bouncer = Bouncer(way, folder, port.number)
        try:
            bouncer.start()
            yield bouncer
        finally:
            bouncer.stop()
