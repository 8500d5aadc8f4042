"""The operation of the audit log in the document."""

from typing import get_args

from grandstand.api.schema.parts import ADMINS, Json, answer, operation, problems, query
from grandstand.operations.audit import AuditAction
from grandstand.operations.read_audit_log import LIST_MAX, AuditEntry, AuditLog

_ENTRY: Json = {
    "id": 42,
    "recorded_at": "2026-01-31T12:00:00Z",
    "actor": "server:key_5f1d0c9a7b3e2846",
    "address": "203.0.113.7",
    "action": "player.ban",
    "target": "ada",
    "before": None,
    "after": {"reason": "speed hack", "prizes_voided": 1},
}
_TIME: Json = {"type": "string", "format": "date-time"}

AUDIT_SERVED = (AuditEntry, AuditLog)
"""The structs that this operation serves."""

AUDIT: Json = {
    "/api/audit-log": {
        "get": operation(
            "listAuditLog",
            "Operations",
            "List who changed what",
            ADMINS,
            {"200": answer("The newest first.", "AuditLog", {"entries": [_ENTRY], "next_cursor": None})}
            | problems("unauthorized", "forbidden", "invalid", "unavailable"),
            description="Every change of definitions, tournaments, prizes, players, webhooks, keys and dead letters "
            "by a key, a command or the server itself. It is only ever added to; erasing a player takes the id out.",
            parameters=[
                query("actor", {"type": "string"}, "Only what this one did.", _ENTRY["actor"]),
                query("action", {"type": "string", "enum": list(get_args(AuditAction))}, "Only these."),
                query("target", {"type": "string"}, "Only what was done to this.", "ada"),
                query("from", _TIME, "Not before this."),
                query("to", _TIME, "Before this."),
                query("limit", {"type": "integer", "minimum": 1, "maximum": LIST_MAX, "default": 100}, "Entries."),
                query("cursor", {"type": "string"}, "`next_cursor` of the page before."),
            ],
        )
    }
}
