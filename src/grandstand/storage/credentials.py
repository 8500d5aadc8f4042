"""Keys, secrets and devices in PostgreSQL: hashes only. Every method runs on the caller's connection."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from grandstand.domain.credentials import KeyKind, Scope
from grandstand.storage import queries
from grandstand.storage.postgres import Connection


class StoredKey(NamedTuple):
    """A key that is in force, as it is kept. `signing_key` is set for server keys only.

    No `scopes` is everything that the kind may, no `expires_at` is for ever.
    """

    key_id: str
    kind: KeyKind
    name: str
    key_hash: bytes
    signing_key: bytes | None
    scopes: Sequence[Scope] | None = None
    expires_at: datetime | None = None


class KeyRow(NamedTuple):
    """What is known of a key, in force or not, without anything that it could be made from."""

    key_id: str
    kind: KeyKind
    name: str
    scopes: Sequence[Scope] | None
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def keep_secret(connection: "Connection[Any]", name: str, candidate: bytes) -> bytes:
    """Return the deployment's secret of this name; the first caller's candidate becomes it, for ever."""
    await connection.execute(queries.load("credentials/insert_secret.sql"), name, candidate)
    return bytes(await connection.fetchval(queries.load("credentials/find_secret.sql"), name))


async def lock_keys(connection: "Connection[Any]") -> None:
    """Wait until no other transaction changes keys, and keep others from it until this one ends."""
    await connection.execute(queries.load("credentials/lock.sql"))


async def list_live_keys(connection: "Connection[Any]", now: datetime) -> list[StoredKey]:
    """Return every key that is neither revoked nor at its end."""
    return [StoredKey(*row) for row in await connection.fetch(queries.load("credentials/list_live.sql"), now)]


async def list_keys(connection: "Connection[Any]", after_id: str | None, count_max: int) -> list[KeyRow]:
    """Return keys, also those out of force, the oldest first: from the first one on, or behind one."""
    rows = await connection.fetch(queries.load("credentials/list_keys.sql"), after_id, count_max)
    return [KeyRow(*row) for row in rows]


async def find_key(connection: "Connection[Any]", key_id: str) -> KeyRow | None:
    """Return what is known of a key."""
    row = await connection.fetchrow(queries.load("credentials/find_key.sql"), key_id)
    return None if row is None else KeyRow(*row)


async def count_lasting_keys(connection: "Connection[Any]", kind: KeyKind, without: str) -> int:
    """Count the keys of a kind that are in force and have no end, leaving one out."""
    count: int = await connection.fetchval(queries.load("credentials/count_live.sql"), kind, without)
    return count


async def revoke_key(connection: "Connection[Any]", key_id: str, now: datetime) -> None:
    """Put a key out of force; one that is keeps its time."""
    await connection.execute(queries.load("credentials/revoke_key.sql"), key_id, now)


async def expire_key(connection: "Connection[Any]", key_id: str, expires_at: datetime) -> None:
    """Give a key an end, unless it ends sooner."""
    await connection.execute(queries.load("credentials/expire_key.sql"), key_id, expires_at)


async def record_use(connection: "Connection[Any]", key_ids: Iterable[str], now: datetime) -> None:
    """Note that keys were used just now."""
    await connection.execute(queries.load("credentials/record_use.sql"), list(key_ids), now)


async def list_known_kinds(connection: "Connection[Any]") -> set[str]:
    """Return the kinds of which there is, or was, a key."""
    return {row[0] for row in await connection.fetch(queries.load("credentials/list_kinds.sql"))}


async def put_key(connection: "Connection[Any]", key: StoredKey, created_by: str | None = None) -> None:
    """Store a key, or put a known one of the same hash in force again, without an end."""
    await connection.execute(queries.load("credentials/insert_key.sql"), *key, created_by)


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


async def revoke_player(connection: "Connection[Any]", user_id: str, now: datetime) -> None:
    """Put the tokens that a player was given until now out of force."""
    await connection.execute(queries.load("credentials/revoke_player.sql"), user_id, now)


async def list_revocations(connection: "Connection[Any]", since: datetime) -> dict[str, datetime]:
    """Return whose tokens were revoked after `since`, and when."""
    rows = await connection.fetch(queries.load("credentials/list_revocations.sql"), since)
    return {row["user_id"]: row["revoked_at"] for row in rows}


async def prune_revocations(connection: "Connection[Any]", before: datetime) -> None:
    """Forget revocations of tokens that have all ended by themselves."""
    await connection.execute(queries.load("credentials/prune_revocations.sql"), before)
