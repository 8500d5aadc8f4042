"""Keys: made, listed, rotated and revoked. A key is shown once, when it is made; only its hash is kept."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from grandstand import clock
from grandstand.domain.credentials import KeyKind, Scope, hash_key, make_key, signing_key
from grandstand.domain.errors import ConflictError, FieldError, InvalidError, NotFoundError
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.list_cursors import check_limit, read_list_cursor, write_list_cursor
from grandstand.operations.audit import record
from grandstand.operations.first_keys import ENVIRONMENT_KEY_NAME, deployment_secret
from grandstand.storage import credentials
from grandstand.storage.credentials import KeyRow, StoredKey
from grandstand.storage.postgres import Connection, Database

NAME_LENGTH_MAX = 100
KEYS_MAX = 1_000
LIST_MAX = 1_000
OVERLAP_SECONDS = 86_400
OVERLAP_SECONDS_MAX = 30 * 86_400
_ID_PREFIX, _ID_BYTES = "key_", 8

KeyStatus = Literal["live", "expired", "revoked"]


class KeyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/keys` takes. Without `scopes` a key may do all that its kind may; only server keys have any."""

    kind: KeyKind
    name: str
    scopes: list[Scope] | None = None
    expires_at: datetime | None = None


class RotationRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What `POST /api/keys/{id}/rotate` takes: how long the old key stays good beside the new one, in seconds."""

    overlap_seconds: int = OVERLAP_SECONDS


class KeyView(msgspec.Struct, kw_only=True):
    """A key as served: everything but itself. `last_used_at` is right to about half a minute."""

    id: str
    kind: KeyKind
    name: str
    scopes: list[Scope] | None
    status: KeyStatus
    created_at: datetime
    created_by: str | None
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class KeyCreated(KeyView, kw_only=True):
    """A key just made, with `key` itself: nobody can show it again."""

    key: str


class KeyList(msgspec.Struct):
    """A page of keys, the oldest first."""

    keys: list[KeyView]
    next_cursor: str | None = None


class KeyManager:
    """Manages the keys of a deployment. Raises `UnavailableError` when the database is out of reach.

    Other processes follow within `GRANDSTAND_CREDENTIAL_REFRESH_SECONDS`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, body: bytes, *, actor: str) -> KeyCreated:
        """Make a key.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value.
            ConflictError: `key_limit_reached`.
        """
        request = decode_body(body, KeyRequest, whole="")
        return await self.make(request, actor=actor)

    async def make(self, request: KeyRequest, *, actor: str) -> KeyCreated:
        """Make a key from a request that is read already; raises as `create` does."""
        now = clock.now()
        _check(request, now)
        async with self._database.transaction() as connection:
            await credentials.lock_keys(connection)
            made = await _insert(
                connection, request.kind, request.name, request.scopes, request.expires_at, actor=actor, now=now
            )
            await record(connection, "key.create", made.id, after=_shown(made))
        return made

    async def list(self, *, limit: int = LIST_MAX, cursor: str | None = None) -> KeyList:
        """Return a page of keys, also of those that are out of force.

        Raises:
            InvalidError: a limit out of range, or a text that is no cursor.
        """
        check_limit(limit, LIST_MAX)
        after_id = None if cursor is None else _ID_PREFIX + read_list_cursor(cursor, _ID_BYTES).hex()
        now = clock.now()
        async with self._database.connection() as connection:
            found = await credentials.list_keys(connection, after_id, limit + 1)
        page = [_view(row, now) for row in found[:limit]]
        is_more = len(found) > limit
        return KeyList(
            page, write_list_cursor(bytes.fromhex(page[-1].id.removeprefix(_ID_PREFIX))) if is_more else None
        )

    async def rotate(self, key_id: str, body: bytes, *, actor: str) -> KeyCreated:
        """Make a key like another, which ends after the overlap; until then both are good.

        Raises:
            MalformedError: the body is not JSON.
            InvalidError: a wrong value.
            NotFoundError: `key_not_found`.
            ConflictError: `key_not_live`, `key_set_by_environment`, `key_limit_reached`.
        """
        request = decode_body(body, RotationRequest, whole="") if body else RotationRequest()
        return await self.replace(key_id, request.overlap_seconds, actor=actor)

    async def replace(self, key_id: str, overlap_seconds: int, *, actor: str) -> KeyCreated:
        """Rotate with a number that is read already; raises as `rotate` does."""
        if not 0 <= overlap_seconds <= OVERLAP_SECONDS_MAX:
            raise InvalidError([FieldError("overlap_seconds", f"must be between 0 and {OVERLAP_SECONDS_MAX}")])
        now = clock.now()
        async with self._database.transaction() as connection:
            await credentials.lock_keys(connection)
            old = await _find(connection, key_id)
            if _status(old, now) != "live":
                raise ConflictError("key_not_live", "This key is out of force; make a new one.")
            _refuse_environment(old)
            # The end that a key was given is the new one's, too: rotating does not prolong what was to end.
            made = await _insert(connection, old.kind, old.name, old.scopes, old.expires_at, actor=actor, now=now)
            await credentials.expire_key(connection, key_id, now + timedelta(seconds=overlap_seconds))
            await record(connection, "key.rotate", key_id, before=_view(old, now), after=_shown(made))
        return made

    async def revoke(self, key_id: str) -> None:
        """Put a key out of force for good. Doing it twice is the same as once.

        Raises:
            NotFoundError: `key_not_found`.
            ConflictError: `last_admin_key`, `key_set_by_environment`.
        """
        now = clock.now()
        async with self._database.transaction() as connection:
            await credentials.lock_keys(connection)
            key = await _find(connection, key_id)
            if _status(key, now) != "live":
                await credentials.revoke_key(connection, key_id, now)
                return
            _refuse_environment(key)
            if key.kind == "admin" and not await credentials.count_lasting_keys(connection, "admin", key_id):
                raise ConflictError("last_admin_key", "No other admin key lasts; make one first.")
            await credentials.revoke_key(connection, key_id, now)
            await record(connection, "key.revoke", key_id, before=_view(key, now))


async def _insert(
    connection: "Connection[Any]",
    kind: KeyKind,
    name: str,
    scopes: Sequence[Scope] | None,
    expires_at: datetime | None,
    *,
    actor: str,
    now: datetime,
) -> KeyCreated:
    if len(await credentials.list_live_keys(connection, now)) >= KEYS_MAX:
        raise ConflictError("key_limit_reached", f"There are {KEYS_MAX} keys in force; revoke some first.")
    key = make_key(kind)
    stored = StoredKey(
        key_id=_ID_PREFIX + secrets.token_hex(_ID_BYTES),
        kind=kind,
        name=name,
        key_hash=hash_key(key, await deployment_secret(connection)),
        signing_key=signing_key(key) if kind == "server" else None,
        scopes=None if scopes is None else sorted(set(scopes)),
        expires_at=expires_at,
    )
    await credentials.put_key(connection, stored, actor)
    view = _view(await _find(connection, stored.key_id), now)
    return KeyCreated(key=key, **msgspec.structs.asdict(view))


async def _find(connection: "Connection[Any]", key_id: str) -> KeyRow:
    found = None if "\x00" in key_id else await credentials.find_key(connection, key_id)
    if found is None:
        raise NotFoundError("key_not_found", "No key has this id.")
    return found


def _check(request: KeyRequest, now: datetime) -> None:
    errors = []
    if not 0 < len(request.name) <= NAME_LENGTH_MAX or not request.name.isprintable():
        errors.append(FieldError("name", f"must be 1 to {NAME_LENGTH_MAX} printable characters"))
    elif request.name == ENVIRONMENT_KEY_NAME:
        errors.append(FieldError("name", "is the name of keys that settings hold"))
    if request.scopes is not None:
        if request.kind != "server":
            errors.append(FieldError("scopes", "only a server key can be narrowed"))
        elif not request.scopes:
            errors.append(FieldError("scopes", "must name one at least; leave it out for everything"))
    if request.expires_at is not None:
        if request.expires_at.tzinfo is None:
            errors.append(FieldError("expires_at", "must be a time with its offset"))
        elif request.expires_at <= now:
            errors.append(FieldError("expires_at", "must lie in the future"))
    if errors:
        raise InvalidError(errors)


def _refuse_environment(key: KeyRow) -> None:
    if key.name == ENVIRONMENT_KEY_NAME:
        raise ConflictError(
            "key_set_by_environment", f"GRANDSTAND_{key.kind.upper()}_KEY sets this key: change or remove it there."
        )


def _status(row: KeyRow, now: datetime) -> KeyStatus:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "live"


def _view(row: KeyRow, now: datetime) -> KeyView:
    return KeyView(
        id=row.key_id,
        kind=row.kind,
        name=row.name,
        scopes=None if row.scopes is None else list(row.scopes),
        status=_status(row, now),
        created_at=row.created_at,
        created_by=row.created_by,
        expires_at=_utc(row.expires_at),
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )


def _shown(made: KeyCreated) -> KeyView:
    """Return what is known of a key just made, without the key."""
    return KeyView(**{name: getattr(made, name) for name in KeyView.__struct_fields__})


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
