"""Whose an archive's place is: the marker that lies there, and the tokens that a database knows of it.

The marker holds a token, which is random and another one with every round of archiving. A database writes a token down
before it puts it into the place, so the place's token is always one that its owner knows, wherever a process dies. One
that it does not know was put there by somebody else: by a copy of the database that went on with the archive, by the
original that went on without a copy, or by what this database was before it was set back. docs/decisions/0065
"""

from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from grandstand.storage import queries
from grandstand.storage.archive_places import ArchivePlace, SmallFile
from grandstand.storage.postgres import Connection

MARKER = "grandstand-owner.json"
_NOTE = "Says which database writes here. Never change or copy it: grandstand archive adopt makes it anew."
_OWN_PLACE = "give this database a GRANDSTAND_ARCHIVE_URL of its own, or none"
_ADOPT = "if this one is to go on with the archive and no other does, run `grandstand archive adopt`"


class ArchiveNotOwnedError(Exception):
    """Nothing is written to an archive's place, nor forgotten of it; the message says why and what to do.

    `reason` alone is the first sentence, `advice` the second.
    """

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason} {advice}")
        self.reason = reason
        self.advice = advice


class _Marker(msgspec.Struct):
    note: str
    token: UUID


class Sight(NamedTuple):
    """What a database knows of a place. `owner` is the database that issued its newest token, None before the first.

    `is_known` says whether the place's token is one of its own, `may_have_files` whether it has had its marker there
    and names files, and `file_name` is one that must be there, if any is.
    """

    database: str
    owner: str | None
    is_known: bool
    may_have_files: bool
    file_name: str | None


class ArchiveTokens:
    """Reads and writes the tokens of one database, on the caller's connection."""

    async def look(self, connection: "Connection[Any]", found: UUID | None) -> Sight:
        """Return what is known of a place in whose marker a token was `found`."""
        row = await connection.fetchrow(queries.load("archive_tokens/look.sql"), found)
        if row is None:
            raise RuntimeError("PostgreSQL answered a question with nothing.")
        return Sight(*row)

    async def issue(self, connection: "Connection[Any]", token: UUID, found: UUID | None, database: str) -> None:
        """Write a token down that is to take the place of the one that was `found`."""
        await connection.execute(queries.load("archive_tokens/issue.sql"), token, found, database)

    async def mark_seen(self, connection: "Connection[Any]", token: UUID) -> None:
        """Write down that the place has a token."""
        await connection.execute(queries.load("archive_tokens/mark_seen.sql"), token)

    async def disown(self, connection: "Connection[Any]") -> bool:
        """Let no place be this database's until somebody adopts one; return whether it may have had one."""
        return await connection.fetchval(queries.load("archive_tokens/disown.sql")) is not None


def marker_of(token: UUID) -> bytes:
    """Return a marker with a token."""
    return msgspec.json.format(msgspec.json.encode(_Marker(_NOTE, token)))


def token_in(marker: SmallFile | None) -> UUID | None:
    """Return the token of a marker; None where there is none, or one that nobody has written so."""
    if marker is None:
        return None
    try:
        return msgspec.json.decode(marker.content, type=_Marker).token
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def check_owned(place: ArchivePlace, marker: SmallFile | None, sight: Sight) -> None:
    """Let the owner of a place pass, and whoever comes first to one that is nobody's. Blocks where no marker is there.

    Raises:
        ArchiveNotOwnedError: the place is somebody else's, or not the one that it was.
        OSError: it is out of reach.
    """
    if sight.owner not in (None, sight.database):
        raise ArchiveNotOwnedError(
            "This database is a copy of the one that the archive belongs to, or was restored or moved.",
            f"To leave the archive to the other, {_OWN_PLACE}; {_ADOPT}.",
        )
    if marker is not None and token_in(marker) is None:
        raise ArchiveNotOwnedError(
            f"The marker of the archive ({MARKER}) is damaged, so that nobody knows whose the archive is.",
            f"{_ADOPT[0].upper()}{_ADOPT[1:]}.",
        )
    if marker is not None and not sight.is_known:
        raise ArchiveNotOwnedError(
            "Another database has gone on with this archive, or this one was set back to an earlier state.",
            f"To leave the archive to the other, {_OWN_PLACE}; {_ADOPT}.",
        )
    if marker is None:
        check_there(place, sight)


def check_there(place: ArchivePlace, sight: Sight) -> None:
    """See that a place without a marker has what is to be there.

    Raises:
        ArchiveNotOwnedError: it is not mounted, or another place.
        OSError: it is out of reach.
    """
    is_missing = sight.may_have_files if sight.file_name is None else not place.has(sight.file_name)
    if is_missing:
        missing = MARKER if sight.file_name is None else sight.file_name
        raise ArchiveNotOwnedError(
            f"The place of the archive has neither its marker nor what was written there ({missing}).",
            "Mount it, or see that GRANDSTAND_ARCHIVE_URL leads to it; if what is missing is lost, run "
            "`grandstand archive adopt --without-files`.",
        )
