"""Dead letters as served; field names are those of the HTTP contract."""

import base64
from datetime import datetime
from uuid import UUID

import msgspec

from grandstand.domain.dead_letters import Form, LetterStatus
from grandstand.storage.dead_letters import Letter


class DeadLetterView(msgspec.Struct, kw_only=True):
    """A dead letter as listed: what could be read of the event, and why it failed.

    `form` is `block` where what came could not be taken apart into events; `events` is how many it was sent as.
    """

    id: UUID
    form: Form
    event_id: str | None
    event_type: str | None
    user_id: str | None
    occurred_at: datetime | None
    received_at: datetime
    priority: str
    events: int
    error: str
    message: str
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    status: LetterStatus
    replayed_at: datetime | None


class DeadLetterDetail(DeadLetterView, kw_only=True):
    """A dead letter with what came: as text, or in base64 where it is no UTF-8."""

    body: str | None
    body_base64: str | None


class DeadLetterList(msgspec.Struct):
    """A page of dead letters, the newest first."""

    dead_letters: list[DeadLetterView]
    next_cursor: str | None = None


class DeadLettersReplayed(msgspec.Struct):
    """How many events are on their way again, and how many that were asked for are still to be."""

    replayed: int
    remaining: int


def letter_view(letter: Letter) -> DeadLetterView:
    """Return a dead letter as listed."""
    fields = letter._asdict()
    del fields["body"]
    return DeadLetterView(id=fields.pop("dead_letter_id"), **fields)


def letter_detail(letter: Letter) -> DeadLetterDetail:
    """Return a dead letter with its body."""
    body = letter.body or b""
    text: str | None = None
    encoded: str | None = None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        encoded = base64.b64encode(body).decode()
    return DeadLetterDetail(**msgspec.structs.asdict(letter_view(letter)), body=text, body_base64=encoded)
