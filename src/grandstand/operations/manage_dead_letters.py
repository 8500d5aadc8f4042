"""Dead letters are listed, sent again and deleted.

A replay puts the event into the stream before its letter says so, in a transaction that holds the letter: a crash
between the two leaves it dead and the event on its way, and sending that again does no harm: an id counts once.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from grandstand import clock
from grandstand.domain.dead_letters import LETTER_STATUSES, LetterStatus
from grandstand.domain.errors import FieldError, InvalidError, NotFoundError
from grandstand.domain.event_model import join_entry
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.list_cursors import check_limit, read_list_cursor, write_list_cursor
from grandstand.operations.audit import record
from grandstand.operations.dead_letter_views import (
    DeadLetterDetail,
    DeadLetterList,
    DeadLettersReplayed,
    DeadLetterView,
    letter_detail,
    letter_view,
)
from grandstand.storage.dead_letters import DeadLetterStore, Letter, LetterFilter
from grandstand.storage.event_stream import PRIORITY_NAMES
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.postgres import Connection, Database

LIST_MAX = 1_000
REPLAY_MAX = 10_000
"""Events of one bulk replay; what remains is told, and another goes on."""

KEPT_DAYS = 30
"""How long a letter that was replayed is kept as a trace."""

FILTER_LENGTH_MAX = 255
_CHUNK = 100
_AFTER_ALL = UUID(int=2**128 - 1)
_UUID_BYTES = 16


class ReplayRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/dead-letters/replay` takes: which letters, and how many at most."""

    event_type: str | None = None
    user_id: str | None = None
    error: str | None = None
    limit: int = REPLAY_MAX


class DeadLetterManager:
    """Manages dead letters for one process. Raises `UnavailableError` when an engine is out of reach."""

    def __init__(self, database: Database, letters: DeadLetterStore, streams: EventStreams) -> None:
        self._database = database
        self._letters = letters
        self._streams = streams

    async def list(
        self,
        *,
        status: str | None = None,
        event_type: str | None = None,
        user_id: str | None = None,
        error: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> DeadLetterList:
        """Return a page of letters without bodies, the newest first. No status means all.

        Raises:
            InvalidError: an unknown status, a filter or limit out of range, or a text that is no cursor.
        """
        check_limit(limit, LIST_MAX)
        wanted = _filter(event_type, user_id, error)
        before = _AFTER_ALL if cursor is None else UUID(bytes=read_list_cursor(cursor, _UUID_BYTES))
        standing = _read_status(status)
        async with self._database.connection() as connection:
            found = await self._letters.list_newest(
                connection, wanted, status=standing, before=before, count_max=limit + 1
            )
        page = found[:limit]
        next_cursor = write_list_cursor(page[-1].dead_letter_id.bytes) if len(found) > limit else None
        return DeadLetterList([letter_view(letter) for letter in page], next_cursor)

    async def get(self, letter_id: str) -> DeadLetterDetail:
        """Return one letter with its body.

        Raises:
            NotFoundError: `dead_letter_not_found`.
        """
        async with self._database.connection() as connection:
            letter = await self._letters.find(connection, _read_id(letter_id))
        if letter is None:
            raise _not_found()
        return letter_detail(letter)

    async def replay(self, letter_id: str) -> DeadLetterView:
        """Send an event again, as if it came now; one that is on its way already is not sent twice.

        Raises:
            NotFoundError: `dead_letter_not_found`.
        """
        wanted = _read_id(letter_id)
        async with self._database.transaction() as connection:
            letter = await self._letters.lock(connection, wanted)
            if letter is None:
                raise _not_found()
            if letter.status == "dead":
                before = _told(letter)
                letter = (await self._send(connection, [letter]))[0]
                await record(connection, "dead_letter.replay", letter_id, before=before, after=_told(letter))
        return letter_view(letter)

    async def replay_all(self, body: bytes) -> DeadLettersReplayed:
        """Send many events again, the oldest first, but none that fails while this goes on.

        Raises:
            MalformedError, InvalidError: the body is no JSON object of filters.
            UnavailableError: an engine is out of reach; what was sent by then is sent.
        """
        request = decode_body(body, ReplayRequest) if body else ReplayRequest()
        if not 1 <= request.limit <= REPLAY_MAX:
            raise InvalidError([FieldError("limit", f"must be between 1 and {REPLAY_MAX}")])
        wanted = _filter(request.event_type, request.user_id, request.error)
        began, replayed = clock.now(), 0
        while replayed < request.limit:
            async with self._database.transaction() as connection:
                count_max = min(_CHUNK, request.limit - replayed)
                some = await self._letters.lock_some(connection, wanted, failed_before=began, count_max=count_max)
                await self._send(connection, some)
                if some:
                    await record(
                        connection, "dead_letter.replay", "*", after={"filter": request, "replayed": len(some)}
                    )
            replayed += len(some)
            if len(some) < count_max:
                break
        async with self._database.connection() as connection:
            return DeadLettersReplayed(replayed, await self._letters.count(connection, wanted))

    async def delete(self, letter_id: str) -> None:
        """Forget a letter and its event.

        Raises:
            NotFoundError: `dead_letter_not_found`.
        """
        async with self._database.transaction() as connection:
            wanted = _read_id(letter_id)
            letter = await self._letters.lock(connection, wanted)
            if letter is None or not await self._letters.delete(connection, wanted):
                raise _not_found()
            await record(connection, "dead_letter.delete", letter_id, before=_told(letter))

    async def prune(self) -> None:
        """Forget what was replayed long ago."""
        async with self._database.connection() as connection:
            await self._letters.prune(connection, clock.now() - timedelta(days=KEPT_DAYS))

    async def _send(self, connection: "Connection[Any]", letters: Sequence[Letter]) -> Sequence[Letter]:
        now = clock.now()
        for letter in letters:
            body = letter.body or b""
            data = join_entry([body]) if letter.form == "event" else body
            await self._streams.append_encoded(PRIORITY_NAMES.index(letter.priority), letter.events, data, now)
        await self._letters.mark_replayed(connection, [letter.dead_letter_id for letter in letters], now)
        return [letter._replace(status="replayed", replayed_at=now) for letter in letters]


def _told(letter: Letter) -> dict[str, str | None]:
    """Return what the audit log says of a letter: not the message, in which the player's id may stand."""
    return {
        "event_id": letter.event_id,
        "event_type": letter.event_type,
        "user_id": letter.user_id,
        "error": letter.error,
        "status": letter.status,
    }


def _filter(event_type: str | None, user_id: str | None, error: str | None) -> LetterFilter:
    wanted = LetterFilter(event_type, user_id, error)
    for name, text in wanted._asdict().items():
        if text is not None and (not 0 < len(text) <= FILTER_LENGTH_MAX or "\x00" in text):
            raise InvalidError([FieldError(name, f"must be 1 to {FILTER_LENGTH_MAX} characters without NUL")])
    return wanted


def _read_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _not_found() from None


def _read_status(text: str | None) -> LetterStatus | None:
    for status in LETTER_STATUSES:
        if status == text:
            return status
    if text is not None:
        raise InvalidError([FieldError("status", f"must be one of {', '.join(LETTER_STATUSES)}")])
    return None


def _not_found() -> NotFoundError:
    return NotFoundError("dead_letter_not_found", "There is no such dead letter.")
