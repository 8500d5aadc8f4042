"""Webhooks: where they go, and what became of each delivery."""

import msgspec

from grandstand.api.replies import Reply
from grandstand.console.filters import look
from grandstand.console.forms import FormField, by_field, read_fields
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import ConflictError, InvalidError
from grandstand.domain.webhooks import DELIVERY_STATUSES, EVENT_TYPES
from grandstand.operations.webhook_views import DeliveryList, WebhookCreated

_PATH = "/console/webhooks"
FIELDS = (
    FormField("url", "URL", hint="https://…", is_required=True),
    FormField("description", "Description"),
    FormField("event_types", "Event types", "choices", "None ticked for all", EVENT_TYPES),
)
FILTERS = (FormField("status", "Status", "select", choices=("", *DELIVERY_STATUSES)),)


async def get_webhooks(visit: Visit) -> Reply:
    """List webhooks and their deliveries."""
    return await _show(visit)


async def post_webhook(visit: Visit) -> Reply:
    """Create a webhook and show its secret, this once."""
    values, wrong = read_fields(visit.form, FIELDS)
    if wrong:
        return await _show(visit, InvalidError(wrong))
    try:
        made = await visit.services.api.webhooks.create(msgspec.json.encode(values))
    except (InvalidError, ConflictError) as error:
        return await _show(visit, error)
    return await _show(visit, made=made)


async def post_delete(visit: Visit) -> Reply:
    """Remove a webhook with all that was to go to it."""
    await visit.services.api.webhooks.delete(str(visit.path["webhook_id"]))
    return redirect(_PATH, note="deleted")


async def post_test(visit: Visit) -> Reply:
    """Put a test event on its way."""
    await visit.services.api.webhooks.test(str(visit.path["webhook_id"]))
    return redirect(_PATH, note="tested")


async def post_enable(visit: Visit) -> Reply:
    """Take a webhook into use again."""
    await visit.services.api.webhooks.enable(str(visit.path["webhook_id"]))
    return redirect(_PATH, note="enabled")


async def post_replay(visit: Visit) -> Reply:
    """Send a delivery again."""
    await visit.services.api.webhooks.replay(visit.form.text("event_id"), visit.form.text("endpoint_id"))
    return redirect(_PATH, note="replayed")


async def _show(
    visit: Visit, error: InvalidError | ConflictError | None = None, made: WebhookCreated | None = None
) -> Reply:
    errors = by_field(error.errors, FIELDS) if isinstance(error, InvalidError) else {}
    if isinstance(error, ConflictError):
        errors[""] = error.detail
    webhooks, query = visit.services.api.webhooks, visit.query
    asked = webhooks.deliveries(status=query.text("status"), endpoint_id=None, limit=50, cursor=query.text("cursor"))
    deliveries, filters = await look(query, FILTERS, asked, DeliveryList([], None))
    kept = (await webhooks.list()).webhooks
    return page(
        visit,
        "webhooks.html",
        status=filters.status if error is None else error.status,
        webhooks=kept,
        places={hook.id: hook.url for hook in kept},
        deliveries=deliveries,
        filters=filters,
        fields=FIELDS,
        typed={} if error is None else visit.form.values(),
        errors=errors,
        made=made,
    )


ROUTES = (
    Route("GET", _PATH, "admin", get_webhooks),
    Route("POST", _PATH, "admin", post_webhook),
    Route("POST", _PATH + "/replay", "admin", post_replay),
    Route("POST", _PATH + "/{webhook_id:str}/delete", "admin", post_delete),
    Route("POST", _PATH + "/{webhook_id:str}/test", "admin", post_test),
    Route("POST", _PATH + "/{webhook_id:str}/enable", "admin", post_enable),
)
