"""The audit log, and the settings in force."""

from typing import Any, get_args

from pydantic import SecretStr

from grandstand.api.replies import Reply
from grandstand.console.filters import look
from grandstand.console.forms import FormField
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.operations.audit import AuditAction
from grandstand.operations.read_audit_log import AuditLog
from grandstand.settings import ENV_PREFIX, Settings
from grandstand.storage.audit import AuditFilter

AUDIT_FILTERS = (
    FormField("actor", "Who", hint="operator:ann"),
    FormField("action", "What", "select", choices=("", *get_args(AuditAction))),
    FormField("target", "To what"),
)


async def get_audit(visit: Visit) -> Reply:
    """List who changed what."""
    query = visit.query
    wanted = AuditFilter(actor=query.text("actor"), action=query.text("action"), target=query.text("target"))
    asked = visit.services.api.audit.list(wanted, limit=50, cursor=query.text("cursor"))
    found, filters = await look(query, AUDIT_FILTERS, asked, AuditLog([], None))
    return page(visit, "audit.html", status=filters.status, found=found, query=query, filters=filters)


async def get_settings(visit: Visit) -> Reply:
    """Show the settings in force; of a secret only that it is set."""
    settings = visit.services.api.settings
    rows = [
        (f"{ENV_PREFIX}{name.upper()}", _shown(getattr(settings, name)), getattr(settings, name) != field.default,
         field.description)
        for name, field in Settings.model_fields.items()
    ]  # fmt: skip
    return page(visit, "settings.html", rows=rows)


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "set (hidden)"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)


ROUTES = (
    Route("GET", "/console/audit-log", "admin", get_audit),
    Route("GET", "/console/settings", "admin", get_settings),
)
