"""Webhooks: what is told, how it is signed (Standard Webhooks), and when it is tried again."""

import base64
import hashlib
import hmac
import os
from datetime import datetime
from random import Random
from typing import Literal, get_args

import msgspec

EventType = Literal[
    "tournament.started", "tournament.settled", "prize.awarded", "prize.claimed", "leaderboard.period_closed"
]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
TEST_TYPE = "webhook.test"
"""Type of what `POST /api/webhooks/{id}/test` sends; nobody can subscribe to it, and it is always for one endpoint."""

DeliveryStatus = Literal["pending", "delivered", "dead"]
DELIVERY_STATUSES: tuple[DeliveryStatus, ...] = get_args(DeliveryStatus)

RETRY_DELAYS_SECONDS: tuple[float, ...] = (5, 30, 120, 600, 3_600, 10_800, 28_800, 43_200)
"""Waits after the first, second, … failed attempt: nine attempts in a day."""

_JITTER = 0.2
_SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
_SECRET_BYTES = 32


class _Message(msgspec.Struct):
    type: str
    timestamp: datetime
    data: msgspec.Raw


def new_secret() -> str:
    """Return a new signing secret: `whsec_` and 32 random bytes in base64."""
    return _SECRET_PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode()


def write_message(event_type: str, created_at: datetime, payload: str) -> bytes:
    """Return the body of a webhook: the same bytes at every attempt. `payload` is JSON text."""
    return msgspec.json.encode(_Message(event_type, created_at, msgspec.Raw(payload.encode())))


def sign(secret: str, message_id: str, timestamp_seconds: int, body: bytes) -> str:
    """Return the value of `webhook-signature` for a message that is sent at this time.

    Raises:
        binascii.Error: the secret is no base64.
    """
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    signed = b"%b.%d.%b" % (message_id.encode(), timestamp_seconds, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def retry_delay_seconds(delays: tuple[float, ...], failures: int, randomly: Random) -> float | None:
    """Return how long to wait after so many failed attempts, give or take a fifth; None when it is time to give up.

    The fifth keeps the retries of a thousand webhooks that failed together from coming back together.
    """
    if failures > len(delays):
        return None
    return delays[failures - 1] * randomly.uniform(1 - _JITTER, 1 + _JITTER)
