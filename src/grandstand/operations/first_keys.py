"""Sees to the keys that every deployment has from its first start: one of each kind, made or set from outside."""

import secrets
from typing import Any

from grandstand.domain.credentials import KEY_KINDS, KeyKind, hash_key, make_key, signing_key
from grandstand.settings import Settings
from grandstand.storage import credentials
from grandstand.storage.credentials import StoredKey
from grandstand.storage.postgres import Connection, Database

SECRET_NAME = "tokens"  # noqa: S105 - the name of a row, not a secret
FIRST_KEY_NAME = "first"
ENVIRONMENT_KEY_NAME = "environment"


async def ensure_first_keys(database: Database, settings: Settings, *, make_missing: bool = True) -> dict[KeyKind, str]:
    """Create what is missing of the deployment's secret and keys; return the keys that were made just now, by kind.

    With `make_missing` off only the keys that settings hold are stored: for a start that nobody reads keys from.

    A key that is set by a setting is stored (hashed) and replaces the one that the setting held before; it is not
    returned, for whoever set it has it. Safe when several processes start at once.

    Raises:
        UnavailableError: the database is out of reach.

    """
    made: dict[KeyKind, str] = {}
    async with database.transaction() as connection:
        await credentials.lock_keys(connection)
        secret = await deployment_secret(connection)
        known_kinds = await credentials.list_known_kinds(connection)
        for kind in KEY_KINDS:
            given = getattr(settings, f"{kind}_key")
            if given is not None:
                key = _stored(kind, ENVIRONMENT_KEY_NAME, given.get_secret_value(), secret)
                await credentials.revoke_others(connection, key)
                await credentials.put_key(connection, key)
            elif make_missing and kind not in known_kinds:
                made[kind] = make_key(kind)
                await credentials.put_key(connection, _stored(kind, FIRST_KEY_NAME, made[kind], secret))
    return made


async def deployment_secret(connection: "Connection[Any]") -> bytes:
    """Return the 32 random bytes from which key hashes and token keys are derived, made at the first call ever."""
    return await credentials.keep_secret(connection, SECRET_NAME, secrets.token_bytes(32))


def _stored(kind: KeyKind, name: str, key: str, secret: bytes) -> StoredKey:
    return StoredKey(
        key_id=f"key_{secrets.token_hex(8)}",
        kind=kind,
        name=name,
        key_hash=hash_key(key, secret),
        signing_key=signing_key(key) if kind == "server" else None,
    )
