"""Reads the audit log, the newest first."""

from datetime import datetime
from typing import get_args

import msgspec

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.list_cursors import read_list_cursor, write_list_cursor
from grandstand.operations.audit import AuditAction
from grandstand.operations.route_reads import Reads
from grandstand.storage.audit import AuditFilter, AuditRow, AuditStore
from grandstand.storage.postgres import Database

LIST_MAX = 1_000
FILTER_LENGTH_MAX = 512
_AFTER_ALL = 2**63 - 1
_ID_BYTES = 8


class AuditEntry(msgspec.Struct, kw_only=True):
    """A change: who made it and from where, what it was, and what was there before and after."""

    id: int
    recorded_at: datetime
    actor: str
    address: str | None
    action: str
    target: str
    before: msgspec.Raw | None
    after: msgspec.Raw | None


class AuditLog(msgspec.Struct):
    """A page of the audit log."""

    entries: list[AuditEntry]
    next_cursor: str | None


class AuditReader:
    """Reads the audit log for one process. Raises `UnavailableError` when the database is out of reach."""

    def __init__(self, database: Database | Reads, store: AuditStore) -> None:
        self._database = database
        self._store = store

    async def list(self, wanted: AuditFilter, *, limit: int = 100, cursor: str | None = None) -> AuditLog:
        """Return a page of what the filter lets through, the newest first.

        Raises:
            InvalidError: an unknown action, a filter or limit out of range, or a text that is no cursor.
        """
        _check(wanted, limit)
        before = _AFTER_ALL if cursor is None else int.from_bytes(read_list_cursor(cursor, _ID_BYTES)) & _AFTER_ALL
        found = await self._database.read(
            lambda connection: self._store.list_newest(connection, wanted, before=before, count_max=limit + 1)
        )
        page = found[:limit]
        next_cursor = write_list_cursor(page[-1].audit_id.to_bytes(_ID_BYTES)) if len(found) > limit else None
        return AuditLog([_entry(row) for row in page], next_cursor)


def _check(wanted: AuditFilter, limit: int) -> None:
    errors = []
    if not 1 <= limit <= LIST_MAX:
        errors.append(FieldError("limit", f"must be between 1 and {LIST_MAX}"))
    if wanted.action is not None and wanted.action not in get_args(AuditAction):
        errors.append(FieldError("action", f"must be one of {', '.join(get_args(AuditAction))}"))
    for name, text in (("actor", wanted.actor), ("target", wanted.target)):
        if text is not None and (not 0 < len(text) <= FILTER_LENGTH_MAX or "\x00" in text):
            errors.append(FieldError(name, f"must be 1 to {FILTER_LENGTH_MAX} characters without NUL"))
    if errors:
        raise InvalidError(errors)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.audit_id,
        recorded_at=row.recorded_at,
        actor=row.actor,
        address=row.address,
        action=row.action,
        target=row.target,
        before=None if row.before is None else msgspec.Raw(row.before.encode()),
        after=None if row.after is None else msgspec.Raw(row.after.encode()),
    )
