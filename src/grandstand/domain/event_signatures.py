"""Signatures of events: a session's key proves that nobody changed an event on its way. Pure.

A signature is HMAC-SHA256, in hex, over what an event says; `signed_text` is the exact bytes. The key is derived from
the deployment's secret, the session and its user, so every process can check it and nothing is stored.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import UUID

from msgspec import UNSET

from grandstand.domain.event_model import MISSING_ID, MISSING_TIME, NOT_SIGNED, Event, EventError

SIGNING_KEY_PREFIX = "gs_sign_"
_SIGNATURE = re.compile(r"[0-9a-fA-F]{64}\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def signing_key_of(session_id: str, user_id: str, secret: bytes) -> str:
    """Return the key that a player's session signs events with: `gs_sign_` and 43 letters, digits, `-` and `_`."""
    # A session id has no line feed, so no two pairs come to one text.
    message = f"{session_id}\n{user_id}".encode()
    digest = hashlib.blake2b(message, key=secret, digest_size=32, person=b"gs-event-sign").digest()
    return SIGNING_KEY_PREFIX + urlsafe_b64encode(digest).rstrip(b"=").decode()


def signed_text(event_id: UUID, user_id: str, event_type: str, occurred_at: datetime, payload: bytes) -> bytes:
    """Return the bytes that are signed: a line each, and the payload as it stands in the request.

    Nothing but the payload can hold a line feed, so no two events come to one text. `occurred_at` counts in
    microseconds since 1970, and the id is in lower case: however they are written, they say the same.
    """
    microseconds = (occurred_at - _EPOCH) // _MICROSECOND
    return f"v1\n{event_id}\n{user_id}\n{event_type}\n{microseconds}\n".encode() + payload


def sign_event(event: Event, signing_key: str) -> str:
    """Return the signature of an event that has an id and a time."""
    text = signed_text(event.id, event.user_id, event.event_type, event.occurred_at, bytes(event.payload))
    return hmac.new(signing_key.encode(), text, hashlib.sha256).hexdigest()


class SignatureCheck:
    """Checks the signatures of what one session sends. Its key is derived when the first signed event comes.

    `session_id` of None is a token from before there were keys: it can sign nothing.
    """

    __slots__ = ("_is_required", "_key", "_secret", "_session_id", "_user_id")

    def __init__(self, session_id: str | None, user_id: str, secret: bytes, *, is_required: bool) -> None:
        self._session_id, self._user_id, self._secret = session_id, user_id, secret
        self._is_required = is_required
        self._key: str | None = None

    def judge(self, event: Event) -> None:
        """Take the signature off an event that is signed rightly, and mark one that is not signed at all.

        Raises:
            EventError: the signature is wrong, or missing where every event needs one.
        """
        signature = event.signature
        if signature is UNSET or signature is None:
            if self._is_required:
                raise EventError("signature_missing", "Events of players must be signed here: send a `signature`.")
            event.signature = NOT_SIGNED
            return
        if event.id is MISSING_ID or event.occurred_at is MISSING_TIME:
            raise EventError("signature_invalid", "A signed event needs an `id` and an `occurred_at` of its own.")
        if self._session_id is None:
            raise EventError("signature_invalid", "This player token has no signing key; refresh it to get one.")
        if self._key is None:
            self._key = signing_key_of(self._session_id, self._user_id, self._secret)
        is_right = _SIGNATURE.match(str(signature)) is not None and hmac.compare_digest(
            sign_event(event, self._key), str(signature).lower()
        )
        if not is_right:
            raise EventError("signature_invalid", "`signature` is not that of this session over this event.")
        event.signature = UNSET
