"""Tells who speaks: keys from a copy in memory that a loop keeps fresh, player tokens by their signature.

A request never waits for the database. While that is away the copy stays in use: nobody is locked out by an outage.
"""

import asyncio
import contextlib

import structlog

from grandstand.domain.credentials import ANONYMOUS, CREDENTIAL_LENGTH_MAX, Principal, hash_key
from grandstand.domain.errors import UnauthorizedError, UnavailableError
from grandstand.operations.first_keys import deployment_secret
from grandstand.operations.player_tokens import PlayerTokens
from grandstand.storage.credentials import list_live_keys
from grandstand.storage.postgres import Database

_CACHE_MAX = 10_000
_log = structlog.get_logger(__name__)


class Authenticator:
    """Knows the keys in force and checks player tokens. `start` before use, `stop` at the end."""

    def __init__(self, database: Database, *, refresh_seconds: float, token_ttl_seconds: int) -> None:
        self._database = database
        self._refresh_seconds = refresh_seconds
        self._token_ttl_seconds = token_ttl_seconds
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
        self._tokens = PlayerTokens(self._secret, self._token_ttl_seconds)
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
        """Read the keys anew, so that new ones work here and revoked ones no longer do.

        Raises:
            UnavailableError: the database is out of reach; what was known stays in force.

        """
        async with self._database.connection() as connection:
            keys = await list_live_keys(connection)
        by_hash = {key.key_hash: Principal(key.kind, key_id=key.key_id) for key in keys}
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
            return known
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
        if len(self._by_text) < _CACHE_MAX:
            self._by_text[authorization] = principal
        return principal

    @property
    def tokens(self) -> PlayerTokens:
        """Issues and checks player tokens.

        Raises:
            UnavailableError: `start` has not finished.

        """
        if self._tokens is None:
            raise UnavailableError("The server is still starting.")
        return self._tokens

    @property
    def secret(self) -> bytes:
        """The deployment's secret."""
        return self._secret

    @property
    def signing_keys(self) -> list[bytes]:
        """What the server keys in force sign user ids with."""
        return self._signing_keys

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_seconds)
            try:
                await self.refresh()
            except UnavailableError as error:
                _log.warning("keys_not_refreshed", error=error.detail)
            except Exception:  # noqa: BLE001 - a loop that ended here would let revoked keys in for ever
                _log.exception("keys_not_refreshed")
