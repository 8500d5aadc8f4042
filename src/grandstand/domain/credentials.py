"""Credentials: what each kind may do, how keys look, and how their secrets are hashed. Pure.

Only keyed hashes of keys and devices are stored, so a stolen database opens nothing. The keys are long and random,
which is why one round of a fast hash suffices where passwords would need a slow one.
"""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Kind = Literal["admin", "server", "client", "player", "anonymous"]
KeyKind = Literal["admin", "server", "client"]

Scope = Literal[
    "events:read",
    "events:write",
    "leaderboards:read",
    "leaderboards:write",
    "operations:read",
    "players:read",
    "players:write",
    "prizes:read",
    "prizes:write",
    "tournaments:read",
    "tournaments:write",
    "webhooks:read",
    "webhooks:write",
]
"""What a server key may be narrowed to: a resource, and whether it is read or changed."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
KEY_KINDS: tuple[KeyKind, ...] = ("admin", "server", "client")
KEY_SECRET_LENGTH = 64
"""Characters of a made key after its prefix: 64 of 62 letters and digits are 381 bits."""

CREDENTIAL_LENGTH_MAX = 8192
"""Characters of the longest credential that is looked at; longer ones are refused unread."""

DEVICE_ID_LENGTH_MIN = 8
DEVICE_ID_LENGTH_MAX = 255
SIGNATURE = re.compile(r"[0-9a-fA-F]{64}\Z")

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Principal:
    """Who speaks. `user_id` and `session_id` are set for players only, `key_id` for keys only.

    `scopes` narrows a server key; None is everything that the kind may. `expires_at` is when a key ends, if it does.
    """

    kind: Kind
    user_id: str | None = None
    key_id: str | None = None
    scopes: frozenset[Scope] | None = None
    expires_at: datetime | None = None
    session_id: str | None = None

    @property
    def is_operator(self) -> bool:
        """Whether it is a server or an admin key, whatever its scopes."""
        return self.kind in ("admin", "server")

    def may(self, scope: Scope) -> bool:
        """Whether it is an operator's and its scopes reach this."""
        return self.is_operator and (self.scopes is None or scope in self.scopes)


ANONYMOUS = Principal("anonymous")


def make_key(kind: KeyKind) -> str:
    """Return a new random key of the kind, such as `gs_server_…`."""
    return key_prefix(kind) + "".join(secrets.choice(_ALPHABET) for _ in range(KEY_SECRET_LENGTH))


def key_prefix(kind: KeyKind) -> str:
    """Return what every key of the kind begins with."""
    return f"gs_{kind}_"


def hash_key(key: str, secret: bytes) -> bytes:
    """Return the 32 bytes under which a key is stored: BLAKE2b keyed with the deployment's secret (32 bytes)."""
    return hashlib.blake2b(key.encode(), key=secret, digest_size=32, person=b"gs-api-key").digest()


def hash_device(device_id: str, secret: bytes) -> bytes:
    """Return the 32 bytes under which a device is known."""
    return hashlib.blake2b(device_id.encode(), key=secret, digest_size=32, person=b"gs-device").digest()


def hash_user_id(user_id: str, secret: bytes) -> bytes:
    """Return the 32 bytes that are left of the id of an erased player."""
    return hashlib.blake2b(user_id.encode(), key=secret, digest_size=32, person=b"gs-erased-user").digest()


def token_secret(secret: bytes) -> bytes:
    """Return the key that signs player tokens, derived so that it is of no use for anything else."""
    return hashlib.blake2b(key=secret, digest_size=32, person=b"gs-player-token").digest()


def signing_key(server_key: str) -> bytes:
    """Return what a server key signs user ids with: its SHA-256.

    HMAC-SHA256 hashes keys of more than 64 bytes first (RFC 2104), and every made key is longer than that. So a game
    server signs with `HMAC-SHA256(key=server_key, message=user_id)`, and only this hash need be kept here. With a key
    of its own of up to 64 characters it signs with `HMAC-SHA256(key=SHA-256(server_key), message=user_id)`.
    """
    return hashlib.sha256(server_key.encode()).digest()


def sign_user_id(user_id: str, key: bytes) -> str:
    """Return the signature, in hex, that lets a client key open a session for a user id."""
    return hmac.new(key, user_id.encode(), hashlib.sha256).hexdigest()


def is_signature_of(signature: str, user_id: str, keys: list[bytes]) -> bool:
    """Tell whether any of the signing keys made the signature. The time taken says nothing about how much was right."""
    matches = [hmac.compare_digest(sign_user_id(user_id, key).encode(), signature.lower().encode()) for key in keys]
    return any(matches)
