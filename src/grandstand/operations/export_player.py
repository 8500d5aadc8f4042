"""Exports everything that is kept of a player, as of one moment.

The document is written to a temporary file first: however long it is it takes little memory, and a client that reads
slowly holds no connection to the database.
"""

import asyncio
from tempfile import SpooledTemporaryFile
from typing import Any

import msgspec

from grandstand import clock
from grandstand.domain.errors import NotFoundError
from grandstand.domain.event_model import is_user_id
from grandstand.operations.read_player import PlayerReader
from grandstand.storage.archive_reader import ArchivedEvents
from grandstand.storage.event_log import EventLog
from grandstand.storage.player_exports import SECTIONS, PlayerExports
from grandstand.storage.postgres import Connection, Database

MEMORY_BYTES_MAX = 1_048_576
"""What of an export is kept in memory; the rest goes to disk."""

_AT_ONCE = 2
"""Exports that one process writes at the same time: each holds a connection, and others wait for their turn."""

_encode = msgspec.json.Encoder().encode


def _encode_event(event: dict[str, Any]) -> bytes:
    names = ("id", "event_type", "occurred_at", "received_at")
    return _encode({**{name: event[name] for name in names}, "payload": msgspec.Raw(event["payload"].encode())})


class PlayerExporter:
    """Exports players for one process. Raises `UnavailableError` when PostgreSQL is out of reach."""

    def __init__(
        self, database: Database, exports: PlayerExports, archived: ArchivedEvents, profiles: PlayerReader
    ) -> None:
        self._database = database
        self._archived = archived
        self._exports = exports
        self._profiles = profiles
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def export(self, user_id: str) -> SpooledTemporaryFile[bytes]:
        """Return the document as a file at its beginning, for the caller to close.

        Raises:
            NotFoundError: `player_not_found` when nothing is kept.
            UnavailableError: also when the player has archived events that cannot be read here.
        """
        async with self._turns:
            ranks = await self._ranks(user_id)
            async with self._database.snapshot() as connection:
                await EventLog().hold(connection)
                if not is_user_id(user_id) or not await self._exports.is_known(connection, user_id):
                    raise NotFoundError("player_not_found", "Nothing is known of this player.")
                document = SpooledTemporaryFile[bytes](MEMORY_BYTES_MAX)
                try:
                    await self._write(connection, document, user_id, ranks)
                except BaseException:
                    document.close()
                    raise
        document.seek(0)
        return document

    async def _ranks(self, user_id: str) -> dict[str, Any]:
        try:
            profile = await self._profiles.get(user_id)
        except NotFoundError:
            return {"ranks": [], "tournaments": []}
        return {"ranks": profile.ranks, "tournaments": profile.tournaments}

    async def _write(
        self, connection: "Connection[Any]", document: SpooledTemporaryFile[bytes], user_id: str, ranks: dict[str, Any]
    ) -> None:
        head = _encode({"user_id": user_id, "exported_at": clock.now(), **ranks})
        profile = await self._exports.profile(connection, user_id)
        document.write(head[:-1] + b',"profile":' + (profile or "null").encode())
        for section in SECTIONS:
            document.write(b',"%b":[' % section.encode())
            separator = b""
            if section == "events":
                async for chunk in self._archived.of_users(connection, [user_id]):
                    for event in chunk:
                        document.write(separator + _encode_event(event))
                        separator = b","
            async for row in self._exports.rows(connection, section, user_id):
                document.write(separator + row.encode())
                separator = b","
            document.write(b"]")
        document.write(b"}")
