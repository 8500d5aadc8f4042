"""The embedded Valkey: writes its configuration, knows when it is ready. Its append-only file is data."""

import asyncio
import os
import signal
from urllib.parse import quote

from grandstand.embedded.binaries import valkey_program
from grandstand.embedded.data_folder import DataFolder
from grandstand.embedded.engine import Engine
from grandstand.embedded.identity import with_access
from grandstand.embedded.memory import available_bytes
from grandstand.embedded.settings_files import write_settings_file

SOCKET = "valkey.sock"
SETTINGS_FILE = "valkey.conf"
PING_TIMEOUT_SECONDS = 1.0

SETTINGS: dict[str, str] = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "supervised": "no",
    "databases": "16",
    # Acknowledged events exist only here until they are processed: they are on the disk before the answer.
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "aof-load-truncated": "yes",
    "aof-use-rdb-preamble": "yes",
    "save": "",
    # Full is full: neither events nor ranks are ever dropped to make room. The limit of the stream comes well before.
    "maxmemory-policy": "noeviction",
    "io-threads": "1",
    "loglevel": "notice",
    "logfile": "",
    # Whoever reaches the socket owns the folder.
    "protected-mode": "no",
    "proc-title-template": "{title} {config-file}",
    "disable-thp": "yes",
}


class Valkey(Engine):
    """Valkey on a Unix socket inside the data folder."""

    title = "Valkey"
    name = "valkey"
    stop_signal = signal.SIGTERM
    hard_stop_signal = signal.SIGKILL
    stop_timeout_seconds = 15.0
    programs = ("valkey-server",)
    error_marks = (" # ", "FATAL", "***", ">>>")

    def __init__(self, folder: DataFolder, memory_max_bytes: int = 0) -> None:
        super().__init__(folder)
        self._program = valkey_program()
        # Rewriting the append-only file forks, and may need as much again for a while.
        self._memory_max_bytes = memory_max_bytes or available_bytes() // 2
        self._socket = folder.socket_folder() / SOCKET

    @property
    def url(self) -> str:
        """Where clients connect, over the socket."""
        return f"unix://{quote(os.fsencode(self._socket), safe='/')}?db=0"

    def _check_programs(self) -> None:
        self._identity = with_access(self._folder.identity, self._folder.path, [self._program], [])

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._write_settings)

    def _write_settings(self) -> None:
        self._socket.unlink(missing_ok=True)
        values = SETTINGS | {
            "dir": str(self.data),
            "unixsocket": str(self._socket),
            "maxmemory": str(self._memory_max_bytes),
        }
        lines = [f"{name} {_quoted(value)}\n" for name, value in values.items()]
        write_settings_file(self.data / SETTINGS_FILE, lines, self._identity)

    def _command(self) -> list[str]:
        return [str(self._program), str(self.data / SETTINGS_FILE)]

    async def _is_ready(self) -> bool:
        # While it loads its data it answers PING with an error.
        try:
            async with asyncio.timeout(PING_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._socket)
                try:
                    writer.write(b"PING\r\n")
                    return await reader.readline() == b"+PONG\r\n"
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
