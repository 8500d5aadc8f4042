"""Keys of the API: made, rotated, revoked. A key is shown on the page that answers its making, and never again."""

import msgspec

from grandstand.api.replies import Reply
from grandstand.console.forms import FormField, by_field, read_fields
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.credentials import KEY_KINDS, SCOPES
from grandstand.domain.errors import ConflictError, InvalidError
from grandstand.operations.manage_keys import KeyCreated

FIELDS = (
    FormField("kind", "Kind", "select", choices=tuple(reversed(KEY_KINDS)), is_required=True),
    FormField("name", "Name", hint="A note for people", is_required=True),
    FormField("expires_at", "Ends (UTC)", "moment", "Empty for never"),
    FormField("scopes", "Scopes", "choices", "Of server keys; none ticked for all", SCOPES),
)


async def get_keys(visit: Visit) -> Reply:
    """List the keys."""
    return await _show(visit)


async def post_key(visit: Visit) -> Reply:
    """Make a key and show it."""
    values, wrong = read_fields(visit.form, FIELDS)
    if wrong:
        return await _show(visit, InvalidError(wrong))
    try:
        made = await visit.services.api.keys.create(
            msgspec.json.encode(values), actor=f"operator:{visit.operator.name}"
        )
    except (InvalidError, ConflictError) as error:
        return await _show(visit, error)
    await visit.services.api.authenticator.refresh()
    return await _show(visit, made=made)


async def post_rotate(visit: Visit) -> Reply:
    """Make a key like another, which ends a day later, and show it."""
    keys = visit.services.api.keys
    made = await keys.rotate(str(visit.path["key_id"]), b"", actor=f"operator:{visit.operator.name}")
    await visit.services.api.authenticator.refresh()
    return await _show(visit, made=made)


async def post_revoke(visit: Visit) -> Reply:
    """Put a key out of force."""
    await visit.services.api.keys.revoke(str(visit.path["key_id"]))
    await visit.services.api.authenticator.refresh()
    return redirect("/console/keys", note="revoked")


async def _show(
    visit: Visit, error: InvalidError | ConflictError | None = None, made: KeyCreated | None = None
) -> Reply:
    errors = by_field(error.errors, FIELDS) if isinstance(error, InvalidError) else {}
    if isinstance(error, ConflictError):
        errors[""] = error.detail
    return page(
        visit,
        "keys.html",
        status=200 if error is None else error.status,
        found=await visit.services.api.keys.list(cursor=visit.query.text("cursor")),
        fields=FIELDS,
        typed={} if error is None else visit.form.values(),
        errors=errors,
        made=made,
    )


ROUTES = (
    Route("GET", "/console/keys", "admin", get_keys),
    Route("POST", "/console/keys", "admin", post_key),
    Route("POST", "/console/keys/{key_id:str}/rotate", "admin", post_rotate),
    Route("POST", "/console/keys/{key_id:str}/revoke", "admin", post_revoke),
)
