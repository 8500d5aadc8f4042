"""What a connection to Valkey does beside the library's: it tells which server it leads to, and when it is closed."""

import asyncio
import re
from collections.abc import Callable
from typing import Any, cast
from uuid import uuid4

from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import (
    ConnectionError as ValkeyConnectionError,
)
from valkey.exceptions import (
    ResponseError,
)
from valkey.exceptions import (
    TimeoutError as ValkeyTimeoutError,
)

_RUN_ID = re.compile(rb"^run_id:(\w+)", re.MULTILINE)


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


def noticing(
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
