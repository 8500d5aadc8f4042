"""Keys, secrets and devices in PostgreSQL: hashes only. Every method runs on the caller's connection."""

from typing import Any, NamedTuple

from grandstand.domain.credentials import KeyKind
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class StoredKey(NamedTuple):
    """A key that is in force, as it is kept. `signing_key` is set for server keys only."""

    key_id: str
    kind: KeyKind
    name: str
    key_hash: bytes
    signing_key: bytes | None


async def keep_secret(connection: "Connection[Any]", name: str, candidate: bytes) -> bytes:
    """Return the deployment's secret of this name; the first caller's candidate becomes it, for ever."""
    await connection.execute(queries.load("credentials/insert_secret.sql"), name, candidate)
    return bytes(await connection.fetchval(queries.load("credentials/find_secret.sql"), name))


async def lock_keys(connection: "Connection[Any]") -> None:
    """Wait until no other transaction changes keys, and keep others from it until this one ends."""
    await connection.execute(queries.load("credentials/lock.sql"))


async def list_live_keys(connection: "Connection[Any]") -> list[StoredKey]:
    """Return every key that is not revoked."""
    return [StoredKey(*row) for row in await connection.fetch(queries.load("credentials/list_live.sql"))]


async def list_known_kinds(connection: "Connection[Any]") -> set[str]:
    """Return the kinds of which there is, or was, a key."""
    return {row[0] for row in await connection.fetch(queries.load("credentials/list_kinds.sql"))}


async def put_key(connection: "Connection[Any]", key: StoredKey) -> None:
    """Store a key, or put a known one of the same hash in force again."""
    await connection.execute(queries.load("credentials/insert_key.sql"), *key)


async def revoke_others(connection: "Connection[Any]", key: StoredKey) -> None:
    """Revoke the keys that have this one's kind and name but another hash."""
    await connection.execute(queries.load("credentials/revoke_others.sql"), key.kind, key.name, key.key_hash)


async def keep_device(connection: "Connection[Any]", device_hash: bytes, candidate: str) -> str:
    """Return the user id of a device; the first caller's candidate becomes it, for ever."""
    find = queries.load("credentials/find_device.sql")
    known = await connection.fetchval(find, device_hash)
    if known is None:
        await connection.execute(queries.load("credentials/insert_device.sql"), device_hash, candidate)
        # Of two first sessions at once, one inserted; both read what stands there now.
        known = await connection.fetchval(find, device_hash)
    return str(known)
