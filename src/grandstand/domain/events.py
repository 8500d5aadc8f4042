"""Reads a batch of gameplay events and judges each: which are taken, with what priority, and which are not, and why.

Pure: the caller passes the time and the limits. The usual batch is decoded in one typed pass into the structs that go
on to the stream; only a batch that fails it is taken apart, so that the good neighbours of a bad event are still taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeGuard

import msgspec

from grandstand.domain.errors import FieldError, InvalidError, MalformedError, TooLargeError
from grandstand.domain.event_fields import read_event
from grandstand.domain.event_model import (
    MISSING_ID,
    MISSING_TIME,
    NEWEST,
    OLDEST,
    Event,
    EventError,
    decode_events,
    encode_events,
    is_event_type,
    is_user_id,
)
from grandstand.domain.event_signatures import SignatureCheck
from grandstand.domain.ids import new_ids
from grandstand.domain.json_bodies import BYTE_ORDER_MARKS, not_json
from grandstand.domain.json_slices import DECODE_ERRORS, SPACE, cut_elements, cut_members, is_json
from grandstand.domain.payloads import ScorePaths, check_payload, find_huge_score, may_hold_nul
from grandstand.domain.usual_events import EVENTS_MIN, is_usual

__all__ = [
    "HIGH_PRIORITY_TYPES",
    "Accepted",
    "Event",
    "EventLimits",
    "Rejection",
    "decode_events",
    "encode_events",
    "judge",
    "read_batch",
]

HIGH_PRIORITY_TYPES = frozenset({"game_ended"})
"""Event types that go before the rest: the ones players wait for on a leaderboard."""

_LARGE_BYTES = 65_536


class Rejection(msgspec.Struct):
    """Why one event of a batch was not taken; `index` is its place in the batch, from 0."""

    index: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class EventLimits:
    """The limits of one route. `past` and `future` of None lift the limit (history import).

    `score_fields` names, for each event type that a board ranks, the payload paths of the scores.
    """

    batch_max: int
    payload_max_bytes: int
    past: timedelta | None
    future: timedelta | None
    score_fields: Mapping[str, ScorePaths] = field(default_factory=dict)


class Accepted(msgspec.Struct):
    """The outcome of reading a batch: the valid events by priority, and the rejected ones."""

    high: list[Event]
    low: list[Event]
    rejected: list[Rejection]


class _Batch(msgspec.Struct, gc=False):
    events: list[Event]


_decode_list = msgspec.json.Decoder(list[Event]).decode
_decode_one = msgspec.json.Decoder(Event).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode


def read_batch(
    body: bytes,
    limits: EventLimits,
    received_at: datetime,
    only_user_id: str | None = None,
    signatures: SignatureCheck | None = None,
) -> Accepted:
    """Read one event, an array, or `{"events": […]}`, and judge each event.

    With `only_user_id`, events of other users are rejected as `forbidden_user`. `signatures` checks those of a player's
    session; without it nobody looks at them, for a game server's word needs none.

    Raises:
        MalformedError: the body is not JSON, or not one of the three shapes.
        InvalidError: it holds no event at all.
        TooLargeError: more events than `limits.batch_max`; nothing is taken.

    """
    parts: Sequence[Event | bytes] | None = _decode_whole(body, limits.batch_max)
    unread = parts is None
    if parts is None:
        parts = _cut(body, limits.batch_max)
    if not parts:
        raise InvalidError([FieldError("", "The body holds no event; send at least one.")])
    if len(parts) > limits.batch_max:
        raise TooLargeError(
            "batch_too_large", f"The batch has more than the {limits.batch_max} events that are taken at once."
        )
    outcome = judge(parts, limits, received_at, only_user_id, signatures, nul_possible=may_hold_nul(body))
    if unread and len(outcome.rejected) == len(parts) and not any(is_json(part) for part in _raw(parts)):
        raise not_json(body)
    return outcome


def judge(
    parts: Sequence[Event | bytes],
    limits: EventLimits,
    received_at: datetime,
    only_user_id: str | None = None,
    signatures: SignatureCheck | None = None,
    *,
    nul_possible: bool = True,
) -> Accepted:
    """Judge events, decoded already or still JSON texts, each for itself; complete the valid ones with id and time.

    `nul_possible` is what `payloads.may_hold_nul` says of all of them.
    """
    oldest = OLDEST if limits.past is None else received_at - limits.past
    newest = NEWEST if limits.future is None else received_at + limits.future
    valid: list[Event] = []
    rejected: list[Rejection] = []
    if len(parts) >= EVENTS_MIN and signatures is None and not nul_possible and _are_read(parts):
        is_valid = is_usual(
            parts,
            oldest=oldest,
            newest=newest,
            payload_max_bytes=limits.payload_max_bytes,
            score_fields=limits.score_fields,
            only_user_id=only_user_id,
        )
        valid = list(parts) if is_valid else []
    for index, part in enumerate(parts if not valid else ()):
        try:
            event = part if type(part) is Event else read_event(part)  # type: ignore[arg-type]
            if only_user_id is not None and event.user_id != only_user_id:
                raise EventError("forbidden_user", "This credential may only send events of its own user.")
            _check(event, limits, oldest, newest, nul_possible)
            if signatures is not None:
                signatures.judge(event)
            elif event.signature is not msgspec.UNSET:
                event.signature = msgspec.UNSET
            valid.append(event)
        except EventError as error:
            rejected.append(Rejection(index, error.code, error.message))
    return _complete(valid, rejected, received_at)


def _are_read(parts: Sequence[Event | bytes]) -> TypeGuard[Sequence[Event]]:
    return set(map(type, parts)) == {Event}


def _complete(valid: Sequence[Event], rejected: list[Rejection], received_at: datetime) -> Accepted:
    """Give valid events the ids and times that they came without, and part them by priority."""
    high: list[Event] = []
    low: list[Event] = []
    nameless: list[Event] = []
    for event in valid:
        if event.id is MISSING_ID:
            nameless.append(event)
        if event.occurred_at is MISSING_TIME:
            event.occurred_at = received_at
        if event.event_type in HIGH_PRIORITY_TYPES:
            high.append(event)
        else:
            low.append(event)
    if nameless:
        for event, identity in zip(nameless, new_ids(len(nameless), received_at), strict=True):
            event.id = identity
    return Accepted(high, low, rejected)


def _check(event: Event, limits: EventLimits, oldest: datetime, newest: datetime, nul_possible: bool) -> None:
    if not is_event_type(event.event_type):
        raise EventError(
            "invalid_event_type",
            "`event_type` must not begin with `grandstand.`, and be 1 to 50 characters of a-z A-Z 0-9 _ . : -",
        )
    if not is_user_id(event.user_id):
        raise EventError("invalid_user_id", "`user_id` must be 1 to 255 characters, none of them a control character.")
    payload = check_payload(event.payload, limits.payload_max_bytes, nul_possible=nul_possible)
    paths = limits.score_fields.get(event.event_type)
    if paths is not None and (path := find_huge_score(payload, paths)) is not None:
        raise EventError(
            "score_out_of_range", f"`payload.{path}` is a score beyond 2^53 - 1, or with more digits than are kept."
        )
    occurred_at = event.occurred_at
    if occurred_at is MISSING_TIME:
        return
    if occurred_at > newest:
        said = f"`occurred_at` is later than {_shown(newest)}, the latest time that is taken: look at the clock."
        raise EventError("occurred_at_in_future", said)
    if occurred_at < oldest:
        said = f"`occurred_at` is earlier than {_shown(oldest)}, the earliest time that is taken here."
        # With an import's limits, what is older yet is a mistake.
        hint = "" if limits.past is None else " History goes to POST /api/events/import."
        raise EventError("occurred_at_too_old", said + hint)


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _decode_whole(body: bytes, batch_max: int) -> list[Event] | None:
    """Decode a body in one pass, or return None when it must be taken apart to say more."""
    if len(body) > _LARGE_BYTES and body.count(b'"event_type"') > batch_max:
        # Most likely too many events: looking at a few more than are taken is enough to say so.
        return None
    try:
        if body.lstrip(SPACE)[:1] == b"[":
            return _decode_list(body)
        if b'"events"' in body:
            return _decode_batch(body).events
        return [_decode_one(body)]
    except DECODE_ERRORS:
        return None


def _cut(body: bytes, batch_max: int) -> list[bytes]:
    text = body.strip(SPACE)
    if text.startswith(BYTE_ORDER_MARKS):
        raise not_json(text)
    if text[:1] not in (b"[", b"{"):
        raise MalformedError(_not_an_event(text))
    try:
        if text[:1] == b"[":
            return cut_elements(text, batch_max)
        members = cut_members(text)
        if "events" not in members:
            return [text]
        if members["events"][:1] != b"[":
            raise MalformedError("`events` is not an array.")
        return cut_elements(members["events"], batch_max)
    except MalformedError:
        if is_json(text):
            raise
        # A parser knows the place of the mistake, which is what helps who made it.
        raise not_json(body) from None


def _not_an_event(text: bytes) -> str:
    if not text:
        return 'The body is empty; send one event, an array of events, or {"events": […]}.'
    return "The body is neither a JSON object nor an array of events."


def _raw(parts: Sequence[Event | bytes]) -> list[bytes]:
    return [part for part in parts if isinstance(part, bytes)]
