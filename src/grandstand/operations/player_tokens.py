"""Player tokens: short-lived JWTs (HS256) that speak for one user id, checked without any look-up.

A token is made anew from one that is still good, as long as the session that began with a proof is not too old.
Sessions that began before a player's revocation (a ban, or an operator's wish) are refused; those moments are kept in
memory.
"""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt

from grandstand.clock import now
from grandstand.domain.credentials import Principal, hash_user_id, token_secret
from grandstand.domain.errors import UnauthorizedError
from grandstand.domain.event_model import is_user_id
from grandstand.domain.event_signatures import signing_key_of

AUDIENCE = "grandstand-player"
_ALGORITHM = "HS256"
_CACHE_MAX = 20_000


class Issued(NamedTuple):
    """A new token: when it ends, and what its session signs events with."""

    token: str
    expires_at: datetime
    signing_key: str


class PlayerTokens:
    """Issues and checks the tokens of one deployment."""

    def __init__(self, secret: bytes, ttl_seconds: int, session_seconds: int) -> None:
        self._secret = secret
        self._key = token_secret(secret)
        self._ttl = timedelta(seconds=ttl_seconds)
        self._session = timedelta(seconds=session_seconds)
        self._revoked: Mapping[str, datetime] = {}
        self._erased: Mapping[bytes, datetime] = {}
        # Checking a signature costs 20 times a request's share of the server; a player sends the same token many times.
        self._checked: dict[str, tuple[float, Principal]] = {}

    @property
    def ttl(self) -> timedelta:
        """How long a token lasts."""
        return self._ttl

    def issue(self, user_id: str, began_at: datetime | None = None, session_id: str | None = None) -> Issued:
        """Return a new token of the user, of a new session unless `session_id` and `began_at` tell of one."""
        issued_at = now()
        session_id = session_id or secrets.token_urlsafe(16)
        began_at = began_at or issued_at
        expires_at = min(issued_at + self._ttl, began_at + self._session).replace(microsecond=0)
        claims = {
            "aud": AUDIENCE,
            "sub": user_id,
            # With its fraction: a token that is made in the second of a revocation is after it or before.
            "iat": issued_at.timestamp(),
            "exp": expires_at,
            "auth_time": began_at.timestamp(),
            "jti": secrets.token_urlsafe(12),
            "sid": session_id,
        }
        token = jwt.encode(claims, self._key, algorithm=_ALGORITHM)
        return Issued(token, expires_at, signing_key_of(session_id, user_id, self._secret))

    def renew(self, token: str) -> tuple[str, Issued]:
        """Return the user and a new token of the same session.

        Raises:
            UnauthorizedError: the token is not good, or its session is over.
        """
        claims = self._decode(token)
        user_id = self._check(claims).user_id or ""
        began_at = datetime.fromtimestamp(claims.get("auth_time", claims["iat"]), UTC)
        if began_at + self._session <= now():
            raise UnauthorizedError("This session is over; open a new one.")
        return user_id, self.issue(user_id, began_at, claims.get("sid"))

    def revoke_before(self, revoked: Mapping[str, datetime], erased: Mapping[bytes, datetime] | None = None) -> None:
        """Refuse the tokens of sessions that began until these moments; `erased` has hashes of their ids."""
        if (revoked, erased or {}) != (self._revoked, self._erased):
            self._revoked, self._erased = revoked, erased or {}
            self._checked = {}

    def verify(self, token: str) -> Principal:
        """Return the player that a token speaks for.

        Raises:
            UnauthorizedError: the token is not ours, has ended or was revoked.

        """
        known = self._checked.get(token)
        if known is not None:
            if known[0] > now().timestamp():
                return known[1]
            del self._checked[token]
        claims = self._decode(token)
        principal = self._check(claims)
        if len(self._checked) >= _CACHE_MAX:
            # Dictionaries keep the order of insertion: the oldest entry ends first or nearly so.
            del self._checked[next(iter(self._checked))]
        self._checked[token] = (float(claims["exp"]), principal)
        return principal

    def _check(self, claims: dict[str, Any]) -> Principal:
        user_id = claims["sub"]
        if not is_user_id(user_id):
            raise UnauthorizedError("This player token names no valid user.")
        # By when the session began: a token renewed where the revocation was not known yet is of before it, too.
        began_at = min(claims["iat"], claims.get("auth_time", claims["iat"]))
        revoked_at = self._revoked.get(user_id)
        if revoked_at is not None and began_at <= revoked_at.timestamp():
            raise UnauthorizedError("This player token was revoked; open a new session.")
        # Hashed only while somebody was erased of late.
        erased_at = self._erased.get(hash_user_id(user_id, self._secret)) if self._erased else None
        if erased_at is not None and began_at <= erased_at.timestamp():
            raise UnauthorizedError("This player token was revoked; open a new session.")
        session_id = claims.get("sid")
        return Principal("player", user_id=user_id, session_id=session_id if isinstance(session_id, str) else None)

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                # Another process' clock may be a second ahead of ours: a token is not refused for being young.
                options={"require": ["aud", "sub", "iat", "exp", "jti"], "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise UnauthorizedError("This player token has ended; open a new session.") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise UnauthorizedError("This credential is neither a key nor a player token.") from None
        return claims
