"""The embedded PostgreSQL: makes its cluster, writes its configuration, knows when it is ready."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import quote

from grandstand.embedded.binaries import postgres_programs
from grandstand.embedded.data_folder import DataFolder
from grandstand.embedded.durable import sync_folder
from grandstand.embedded.engine import Engine
from grandstand.embedded.errors import EngineStartError
from grandstand.embedded.identity import with_access
from grandstand.embedded.log_files import last_words
from grandstand.embedded.memory import available_bytes
from grandstand.embedded.priority import BEHIND_PLAYERS, nice_prefix
from grandstand.embedded.settings_files import write_settings_file

SUPERUSER = "grandstand"
DATABASE = "grandstand"
PORT = 5432  # only part of the socket's name: nothing listens on the network
SETTINGS_FILE = "grandstand.conf"
READY_LINE = 7  # of postmaster.pid, where the postmaster says what it is doing; pg_ctl reads it too

# For a laptop that does other things as well; durability is never traded.
SETTINGS: dict[str, str] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "1GB",
    "huge_pages": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    # Five times as long as usual: what vacuum and analyze do in one go, players wait for where all cores are busy.
    "autovacuum_vacuum_cost_delay": "10ms",
    "jit": "off",
    # The helper processes of asynchronous reads cost more memory than a data set of this size gains from them.
    "io_method": "sync",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] ",
}
INSTALLED_LATER = {"io_method": 18}
MEBIBYTE = 2**20
SHARED_BUFFERS_DIVISOR = 16
SHARED_BUFFERS_MIN_MB = 128
SHARED_BUFFERS_MAX_MB = 512


class Postgres(Engine):
    """PostgreSQL on a Unix socket inside the data folder. Anybody who reaches the socket is trusted: only we do."""

    title = "PostgreSQL"
    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown
    hard_stop_signal = signal.SIGQUIT  # immediate shutdown, recovers at the next start
    stop_timeout_seconds = 60.0
    programs = ("postgres", "initdb")
    error_marks = ("FATAL:", "PANIC:", "ERROR:", "error:")
    # Backends of a killed postmaster take a moment to notice.
    passing_troubles = ("pre-existing shared memory block",)

    def __init__(self, folder: DataFolder, connections_max: int) -> None:
        super().__init__(folder)
        self._connections_max = connections_max
        self._programs = postgres_programs()
        self._sockets = folder.socket_folder()
        self._has_lz4 = False

    @property
    def url(self) -> str:
        """Where clients connect, over the socket."""
        return database_url(self._sockets, DATABASE)

    def _check_programs(self) -> None:
        programs = [self._programs / "postgres", self._programs / "initdb"]
        share = self._programs.parent / "share" / "postgres.bki"
        self._identity = with_access(self._folder.identity, self._folder.path, programs, [share])
        options = subprocess.run([self._programs / "pg_config", "--configure"], capture_output=True, check=False)
        self._has_lz4 = b"--with-lz4" in options.stdout

    async def _prepare(self) -> None:
        for unfinished in self._folder.path.glob(f"{self.name}.new-*"):
            await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        if not (self.data / "PG_VERSION").exists():
            await self._make_cluster()
        # Whoever held it is gone (see _end_leftovers), and its pid may by now be another program's.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for stale in self._sockets.glob(f".s.PGSQL.{PORT}*"):
            stale.unlink(missing_ok=True)
        await asyncio.to_thread(self._write_settings, self.data)

    def _command(self) -> list[str]:
        return [*nice_prefix(BEHIND_PLAYERS), str(self._programs / "postgres"), "-D", str(self.data)]

    async def _is_ready(self) -> bool:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, UnicodeDecodeError):
            return False
        return len(lines) > READY_LINE and lines[READY_LINE].strip() == "ready"

    async def _make_cluster(self) -> None:
        """Make the cluster beside its place and move it there when whole: a killed initdb leaves no half of one."""
        if self.data.exists() and any(self.data.iterdir()):
            raise EngineStartError(
                f"{self.data} is not empty and holds no PostgreSQL cluster: move its content away, "
                "or choose another --data-dir."
            )
        fresh = self._folder.path / f"{self.name}.new-{os.getpid()}"
        await self._run(
            "initdb",
            *("--pgdata", str(fresh), "--username", SUPERUSER, "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C", "--no-instructions"),
        )
        self._write_settings(fresh)
        with (fresh / "postgresql.conf").open("a") as handle:
            handle.write(
                f"\ninclude '{SETTINGS_FILE}'  # written anew at every start; what stands below here wins over it\n"
            )
        await self._run(
            "postgres",
            *("--single", "-c", "exit_on_error=on", "-D", str(fresh), "postgres"),
            said=f"CREATE DATABASE {DATABASE}\n",
        )
        fresh.replace(self.data)
        sync_folder(self._folder.path)

    async def _run(self, program: str, *arguments: str, said: str = "") -> None:
        before = self.log.stat().st_size if self.log.exists() else 0
        with tempfile.TemporaryFile() as script:
            script.write(said.encode())
            script.seek(0)
            process = await self._spawn([str(self._programs / program), *arguments], stdin=script.fileno())
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                process.terminate()
                await process.wait()
                raise
        if code != 0:
            words = last_words(self.log, before, self.error_marks)
            raise EngineStartError(f"PostgreSQL's data folder could not be made: {words} (all of it: {self.log}).")

    def _write_settings(self, data: Path) -> None:
        major = int((data / "PG_VERSION").read_text().strip())
        values = {name: value for name, value in SETTINGS.items() if INSTALLED_LATER.get(name, 0) <= major}
        values["shared_buffers"] = f"{_shared_buffers_mb()}MB"
        values["max_connections"] = str(self._connections_max)
        values["unix_socket_directories"] = '"' + str(self._sockets).replace('"', '""') + '"'
        values["wal_compression"] = "lz4" if self._has_lz4 else "off"
        lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in values.items()]
        text = "# Written by Grandstand at every start. Your own settings belong at the end of postgresql.conf.\n"
        write_settings_file(data / SETTINGS_FILE, [text, *lines], self._identity)


def _shared_buffers_mb() -> int:
    """Return a small share of the memory, within bounds; what is not in use takes none. See docs/decisions/0048."""
    share = available_bytes() // SHARED_BUFFERS_DIVISOR // MEBIBYTE
    return min(max(share, SHARED_BUFFERS_MIN_MB), SHARED_BUFFERS_MAX_MB)


def database_url(socket_folder: Path, database: str) -> str:
    """Return the URL of a database behind a socket folder; asyncpg and libpq read it alike."""
    return f"postgresql://{SUPERUSER}@/{quote(database)}?host={quote(os.fsencode(socket_folder), safe='/')}&port={PORT}"
