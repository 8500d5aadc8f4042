"""Tells who speaks: keys from a copy in memory that a loop keeps fresh, player tokens by their signature.

A request never waits for the database. While that is away the copy stays in use: nobody is locked out by an outage.
"""

import asyncio
import contextlib
import time
from datetime import timedelta

import structlog

from grandstand import clock
from grandstand.domain.credentials import ANONYMOUS, CREDENTIAL_LENGTH_MAX, Principal, hash_key
from grandstand.domain.errors import UnauthorizedError, UnavailableError
from grandstand.domain.event_signatures import SignatureCheck
from grandstand.operations.first_keys import deployment_secret
from grandstand.operations.player_tokens import PlayerTokens
from grandstand.storage.credentials import list_live_keys, list_revocations, prune_revocations, record_use
from grandstand.storage.erasures import list_erased
from grandstand.storage.postgres import Database

_CACHE_MAX = 10_000
_REPORT_SECONDS = 20.0
_CLOCK_DIFFERENCE = timedelta(hours=1)
_REVOCATIONS_KEPT = timedelta(days=2)
"""Longer than any token lasts."""

_log = structlog.get_logger(__name__)


class Authenticator:
    """Knows the keys in force and checks player tokens. `start` before use, `stop` at the end."""

    def __init__(
        self, database: Database, *, refresh_seconds: float, token_ttl_seconds: int, session_seconds: int
    ) -> None:
        self._database = database
        self._refresh_seconds = refresh_seconds
        self._token_ttl_seconds = token_ttl_seconds
        self._session_seconds = session_seconds
        self._used: set[str] = set()
        self._next_report = 0.0
        self._secret = b""
        self._by_hash: dict[bytes, Principal] = {}
        self._by_text: dict[str, Principal] = {}
        self._signing_keys: list[bytes] = []
        self._tokens: PlayerTokens | None = None
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read secret and keys, and begin to keep them fresh.

        Raises:
            UnavailableError: the database is out of reach.

        """
        async with self._database.transaction() as connection:
            self._secret = await deployment_secret(connection)
        self._tokens = PlayerTokens(self._secret, self._token_ttl_seconds, self._session_seconds)
        await self.refresh()
        self._loop = asyncio.create_task(self._refresh_for_ever(), name="refresh credentials")

    async def stop(self) -> None:
        """End the loop."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
            self._loop = None

    async def refresh(self) -> None:
        """Read keys and revocations anew, so that new keys work here, and what is out of force no longer does.

        Raises:
            UnavailableError: the database is out of reach; what was known stays in force.

        """
        async with self._database.connection() as connection:
            now = clock.now()
            keys = await list_live_keys(connection, now)
            # Tokens of before that have ended by themselves.
            since = now - self.tokens.ttl - _CLOCK_DIFFERENCE
            revoked = await list_revocations(connection, since)
            erased = await list_erased(connection, since)
        self.tokens.revoke_before(revoked, erased)
        by_hash = {
            key.key_hash: Principal(
                key.kind,
                key_id=key.key_id,
                scopes=None if key.scopes is None else frozenset(key.scopes),
                expires_at=key.expires_at,
            )
            for key in keys
        }
        self._signing_keys = [key.signing_key for key in keys if key.signing_key is not None]
        if by_hash != self._by_hash:
            self._by_hash = by_hash
            self._by_text = {}

    def principal(self, authorization: str | None) -> Principal:
        """Return who speaks with this `Authorization` header; anonymous without one.

        Raises:
            UnauthorizedError: the credential is unknown, revoked, expired or not of the form `Bearer …`.

        """
        if authorization is None:
            return ANONYMOUS
        known = self._by_text.get(authorization)
        if known is not None:
            return self._in_force(known)
        scheme, _, credential = authorization.partition(" ")
        credential = credential.strip()
        if scheme.lower() != "bearer" or not credential:
            raise UnauthorizedError("Send the credential as `Authorization: Bearer <credential>`.")
        if len(credential) > CREDENTIAL_LENGTH_MAX or not credential.isascii():
            raise UnauthorizedError("This credential is unknown.")
        if not credential.startswith("gs_"):
            return self.tokens.verify(credential)
        principal = self._by_hash.get(hash_key(credential, self._secret))
        if principal is None:
            raise UnauthorizedError("This key is unknown or revoked.")
        # Found by a keyed hash once, then by its text: a guess cannot be timed against either.
        # Only in its usual form: with spaces in between, one public key has endless texts, each of up to 64 KiB.
        is_usual = len(authorization) == len(scheme) + 1 + len(credential)
        if is_usual and len(self._by_text) < _CACHE_MAX:
            self._by_text[authorization] = principal
        return self._in_force(principal)

    def known_key(self, authorization: bytes) -> Principal | None:
        """Return the key that an `Authorization` header was found to be before; None where `principal` has to say."""
        known = self._by_text.get(authorization.decode("latin-1"))
        try:
            return None if known is None else self._in_force(known)
        except UnauthorizedError:
            return None

    @property
    def tokens(self) -> PlayerTokens:
        """Issues and checks player tokens.

        Raises:
            UnavailableError: `start` has not finished.

        """
        if self._tokens is None:
            raise UnavailableError("The server is still starting.")
        return self._tokens

    def signatures_of(self, principal: Principal, *, is_required: bool) -> SignatureCheck | None:
        """Return what checks the signatures of a player's events; None for whoever is no player."""
        if principal.user_id is None:
            return None
        return SignatureCheck(principal.session_id, principal.user_id, self._secret, is_required=is_required)

    @property
    def secret(self) -> bytes:
        """The deployment's secret."""
        return self._secret

    @property
    def signing_keys(self) -> list[bytes]:
        """What the server keys in force sign user ids with."""
        return self._signing_keys

    def _in_force(self, principal: Principal) -> Principal:
        if principal.expires_at is not None and principal.expires_at <= clock.now():
            raise UnauthorizedError("This key has ended.")
        self._used.add(principal.key_id or "")
        return principal

    async def _report_use(self) -> None:
        """Tell the database now and then when keys were used, and let it forget what is long over."""
        if time.monotonic() < self._next_report:
            return
        used, self._used = self._used, set()
        self._next_report = time.monotonic() + _REPORT_SECONDS
        async with self._database.connection() as connection:
            if used:
                await record_use(connection, used, clock.now())
            await prune_revocations(connection, clock.now() - _REVOCATIONS_KEPT)

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_seconds)
            try:
                await self.refresh()
                await self._report_use()
            except UnavailableError as error:
                _log.warning("keys_not_refreshed", error=error.detail)
            except Exception:  # noqa: BLE001 - a loop that ended here would let revoked keys in for ever
                _log.exception("keys_not_refreshed")
