"""Keeps what a game says of a player: display name, country, metadata."""

import re
from datetime import datetime
from typing import Any

import msgspec
import structlog
from valkey.exceptions import ValkeyError

from grandstand.domain.errors import (
    FieldError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from grandstand.domain.event_model import EventError, is_user_id
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.payloads import check_payload
from grandstand.operations.audit import record
from grandstand.storage.changes import Changes
from grandstand.storage.players import Player, PlayerStore
from grandstand.storage.postgres import Database

NAME_LENGTH_MAX = 64
METADATA_BYTES_MAX = 4_096
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of the text around them."""

_log = structlog.get_logger(__name__)


class PlayerRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `PUT /api/players/{user_id}` takes."""

    display_name: str | None = None
    country: str | None = None
    metadata: msgspec.Raw = msgspec.Raw(b"")

    def has_metadata(self) -> bool:
        """Whether something is said of `metadata`; null says nothing."""
        return bytes(self.metadata) not in (b"", b"null")


class PlayerView(msgspec.Struct, kw_only=True):
    """A player as served."""

    user_id: str
    display_name: str | None
    country: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class PlayerKeeper:
    """Reads and writes players for one process. Raises `UnavailableError` when the database is out of reach."""

    def __init__(self, database: Database, players: PlayerStore, changes: Changes) -> None:
        self._database = database
        self._players = players
        self._changes = changes

    async def put(self, user_id: str, body: bytes, *, by_player: bool) -> PlayerView:
        """Create or replace what is said of a player; what a player says leaves the game's `metadata` alone.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value.
            ForbiddenError: a player sends `metadata`.
        """
        if not is_user_id(user_id):
            raise InvalidError([FieldError("user_id", "must be 1 to 255 characters without control characters")])
        request = _read(body)
        if by_player and request.has_metadata():
            raise ForbiddenError("`metadata` is the game's to set; it needs a server key.")
        said = bytes(request.metadata).decode() if request.has_metadata() else "{}"
        metadata = None if by_player else said
        async with self._database.transaction() as connection:
            before = None if by_player else await self._players.find(connection, user_id)
            player = await self._players.put(connection, user_id, request.display_name, request.country, metadata)
            if not by_player:
                was = None if before is None else _view(before)
                await record(connection, "player.put", user_id, before=was, after=_view(player))
        try:
            await self._changes.names()
        except (ValkeyError, OSError) as error:
            _log.warning("name_not_announced", error=str(error))
        return _view(player)

    async def get(self, user_id: str) -> PlayerView:
        """Return what is said of a player.

        Raises:
            NotFoundError: `player_not_found`.
        """
        player = None
        if is_user_id(user_id):
            async with self._database.connection() as connection:
                player = await self._players.find(connection, user_id)
        if player is None:
            raise NotFoundError("player_not_found", "There is no such player.")
        return _view(player)


def _read(body: bytes) -> PlayerRequest:
    request = decode_body(body, PlayerRequest)
    errors: list[FieldError] = []
    name = request.display_name
    if name is not None and (not name.strip() or len(name) > NAME_LENGTH_MAX or _UNSAFE.search(name)):
        errors.append(FieldError("display_name", f"must be 1 to {NAME_LENGTH_MAX} printable characters"))
    if request.country is not None and not _COUNTRY.match(request.country):
        errors.append(FieldError("country", "must be two capital letters, such as DE"))
    try:
        if request.has_metadata():
            check_payload(request.metadata, METADATA_BYTES_MAX, nul_possible=True)
    except EventError as error:
        errors.append(FieldError("metadata", error.message.replace("`payload`", "`metadata`")))
    if errors:
        raise InvalidError(errors)
    return request


def _view(player: Player) -> PlayerView:
    return PlayerView(
        user_id=player.user_id,
        display_name=player.display_name,
        country=player.country,
        metadata=msgspec.json.decode(player.metadata),
        created_at=player.created_at,
        updated_at=player.updated_at,
    )
