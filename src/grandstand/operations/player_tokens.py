"""Player tokens: short-lived JWTs (HS256) that speak for one user id, checked without any look-up."""

import secrets
from datetime import datetime, timedelta

import jwt

from grandstand.clock import now
from grandstand.domain.credentials import Principal, token_secret
from grandstand.domain.errors import UnauthorizedError
from grandstand.domain.event_model import is_user_id

AUDIENCE = "grandstand-player"
_ALGORITHM = "HS256"
_CACHE_MAX = 20_000


class PlayerTokens:
    """Issues and checks the tokens of one deployment."""

    def __init__(self, secret: bytes, ttl_seconds: int) -> None:
        self._key = token_secret(secret)
        self._ttl = timedelta(seconds=ttl_seconds)
        # Checking a signature costs 20 times a request's share of the server; a player sends the same token many times.
        self._checked: dict[str, tuple[float, Principal]] = {}

    def issue(self, user_id: str) -> tuple[str, datetime]:
        """Return a new token of the user and when it ends."""
        issued_at = now().replace(microsecond=0)
        expires_at = issued_at + self._ttl
        claims = {
            "aud": AUDIENCE,
            "sub": user_id,
            "iat": issued_at,
            "exp": expires_at,
            "jti": secrets.token_urlsafe(12),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM), expires_at

    def verify(self, token: str) -> Principal:
        """Return the player that a token speaks for.

        Raises:
            UnauthorizedError: the token is not ours, or has ended.

        """
        known = self._checked.get(token)
        if known is not None:
            if known[0] > now().timestamp():
                return known[1]
            del self._checked[token]
        try:
            claims = jwt.decode(
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
        user_id = claims["sub"]
        if not is_user_id(user_id):
            raise UnauthorizedError("This player token names no valid user.")
        principal = Principal("player", user_id=user_id)
        if len(self._checked) >= _CACHE_MAX:
            # Dictionaries keep the order of insertion: the oldest entry ends first or nearly so.
            del self._checked[next(iter(self._checked))]
        self._checked[token] = (float(claims["exp"]), principal)
        return principal
