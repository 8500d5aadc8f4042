"""Operators: the people who use the console, what each role may do, and what their names and passwords may be. Pure."""

import base64
import hashlib
import re
import secrets
from typing import Literal, NamedTuple, get_args

from grandstand.domain.errors import FieldError

OperatorRole = Literal["viewer", "live-ops", "admin"]
OPERATOR_ROLES: tuple[OperatorRole, ...] = get_args(OperatorRole)
"""From the least to the most: each may do what those before it may."""

PASSWORD_LENGTH_MIN = 12
PASSWORD_LENGTH_MAX = 256
SESSION_BYTES = 32
TOTP_SECRET_BYTES = 20

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


class Operator(NamedTuple):
    """Who uses the console."""

    name: str
    role: OperatorRole

    def may(self, role: OperatorRole) -> bool:
        """Whether this operator may do what is for `role`."""
        return OPERATOR_ROLES.index(self.role) >= OPERATOR_ROLES.index(role)


def is_operator_name(name: str) -> bool:
    """Whether an operator could have this name."""
    return _NAME.match(name) is not None


def check_operator(name: str, role: str) -> list[FieldError]:
    """Return what is wrong with a new operator."""
    errors = []
    if not is_operator_name(name):
        message = "must be 1 to 64 characters of a-z 0-9 . _ - and begin with a letter or digit"
        errors.append(FieldError("name", message))
    if role not in OPERATOR_ROLES:
        errors.append(FieldError("role", f"must be one of {', '.join(OPERATOR_ROLES)}"))
    return errors


def check_password(password: str) -> list[FieldError]:
    """Return what is wrong with a new password: only its length can be."""
    if not PASSWORD_LENGTH_MIN <= len(password) <= PASSWORD_LENGTH_MAX:
        message = f"must have {PASSWORD_LENGTH_MIN} to {PASSWORD_LENGTH_MAX} characters"
        return [FieldError("password", message)]
    return []


def new_session() -> str:
    """Return what the cookie of a new session holds: 256 random bits."""
    return secrets.token_urlsafe(SESSION_BYTES)


def hash_session(session: str, secret: bytes) -> bytes:
    """Return the 32 bytes under which a session is stored."""
    return hashlib.blake2b(session.encode(), key=secret, digest_size=32, person=b"gs-console-key").digest()


def form_token(session: str, secret: bytes) -> str:
    """Return what every form of a session must hold, so that no other site can send one."""
    return hashlib.blake2b(session.encode(), key=secret, digest_size=24, person=b"gs-form-token").hexdigest()


def totp_secret(session: str, mark: str, secret: bytes) -> str:
    """Return the secret of one-time codes, in base 32, that a session sets up under a mark.

    It follows from both, so that neither a page nor the database has to keep it until it is in force.
    """
    text = f"{session} {mark}".encode()
    digest = hashlib.blake2b(text, key=secret, digest_size=TOTP_SECRET_BYTES, person=b"gs-totp-secret").digest()
    return base64.b32encode(digest).decode()
