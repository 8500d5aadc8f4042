"""A primary and a streaming replica of it, made with `pg_basebackup` from the wheel's own programs."""

import asyncio
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from grandstand.embedded.data_folder import DataFolder, open_data_folder
from grandstand.embedded.postgres import Postgres
from tests.support.leaks import check_files

CONNECTIONS_MAX = 200
T = TypeVar("T")


@dataclass
class Pair:
    """Both can be stopped and started again; methods may be called from any thread."""

    primary: Postgres
    replica: Postgres
    _loop: asyncio.AbstractEventLoop

    def stop(self, server: Postgres) -> None:
        self._run(server.stop())

    def start(self, server: Postgres) -> None:
        self._run(server.start())

    def pause(self) -> None:
        """Let the replica show nothing new."""
        self._tell("SELECT pg_wal_replay_pause()")

    def resume(self) -> None:
        self._tell("SELECT pg_wal_replay_resume()")

    def copy_primary(self) -> None:
        """Make the replica's cluster; it follows the primary from its start on."""
        sockets = self.primary.url.partition("host=")[2].partition("&")[0]
        source = ("--host", sockets, "--port", "5432", "--username", "grandstand")
        options = ("--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync")
        # As the engine's own user, as it makes its clusters.
        self.replica._check_programs()
        self._run(self.replica._run("pg_basebackup", "--pgdata", str(self.replica.data), *source, *options))

    def _tell(self, statement: str) -> None:
        with psycopg.connect(self.replica.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(90)


@contextmanager
def running_pair() -> Iterator[Pair]:
    parent = Path(tempfile.mkdtemp(prefix="grandstand-pair-"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="pair", daemon=True)
    thread.start()
    try:
        with ExitStack() as stack:
            folders: list[DataFolder] = [
                stack.enter_context(open_data_folder(parent / name)) for name in ("primary", "replica")
            ]
            primary, replica = (Postgres(folder, CONNECTIONS_MAX) for folder in folders)
            pair = Pair(primary, replica, loop)
            stack.callback(pair.stop, primary)
            stack.callback(pair.stop, replica)
            pair.start(primary)
            pair.copy_primary()
            pair.start(replica)
            yield pair
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        try:
            check_files(parent.glob("*/logs/*"))
        finally:
            shutil.rmtree(parent, ignore_errors=True)
