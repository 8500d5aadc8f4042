"""Players: found by their id, with ranks, prizes and events; banned, exported, erased."""

from urllib.parse import urlencode

import msgspec

from grandstand.api.parameters import check_user_id
from grandstand.api.replies import FileReply, Reply
from grandstand.console.event_pages import traced
from grandstand.console.filters import filters_of
from grandstand.console.forms import FormField
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.templating import visible
from grandstand.console.visit import Visit
from grandstand.domain.errors import FieldError, GrandstandError, InvalidError, NotFoundError

_EVENTS = 20
_PLAYERS = "/console/players"
FILTERS = (FormField("user_id", "Player's id", is_required=True),)


async def get_player(visit: Visit) -> Reply:
    """Show a player, or the field to look for one."""
    return await _show(visit, visit.query.text("user_id"), None)


async def post_ban(visit: Visit) -> Reply:
    """Take a player off every board."""
    user_id = check_user_id(visit.form.raw("user_id"))
    body = msgspec.json.encode({"reason": visit.form.text("reason")})
    try:
        await visit.services.api.banner.ban(user_id, body, actor=f"operator:{visit.operator.name}")
    except InvalidError as error:
        return await _show(visit, user_id, error)
    await visit.services.api.authenticator.refresh()
    return _back(user_id, "banned")


async def post_unban(visit: Visit) -> Reply:
    """Let a player's scores count again."""
    user_id = check_user_id(visit.form.raw("user_id"))
    await visit.services.api.banner.lift(user_id)
    return _back(user_id, "unbanned")


async def post_export(visit: Visit) -> FileReply:
    """Hand out everything that is kept of a player."""
    document = await visit.services.api.exporter.export(check_user_id(visit.form.raw("user_id")))
    headers = ((b"cache-control", b"no-store"), (b"content-disposition", b'attachment; filename="player.json"'))
    return FileReply(document, headers=headers)


async def post_erase(visit: Visit) -> Reply:
    """Erase a player whose id was typed again."""
    user_id = check_user_id(visit.form.raw("user_id"))
    if visit.form.text("again") not in (user_id.strip(), visible(user_id)):
        return await _show(visit, user_id, InvalidError([FieldError("again", "is not this player's id")]))
    await visit.services.api.eraser.erase(user_id)
    await visit.services.api.authenticator.refresh()
    return redirect(_PLAYERS, note="erased")


async def _show(visit: Visit, wanted: str | None, refusal: GrandstandError | None) -> Reply:
    player, events, missing = None, [], None
    filters = filters_of(visit.query, FILTERS)
    filters.typed["user_id"] = wanted or ""
    if wanted is not None:
        try:
            player = await visit.services.api.profiles.get(check_user_id(wanted))
            events = (await visit.services.api.events.list(user_id=wanted, limit=_EVENTS)).events
        except NotFoundError as error:
            missing = error.detail
        except InvalidError as error:
            filters = filters_of(visit.query, FILTERS, error)
    told = {error.path: error.message for error in refusal.errors} if isinstance(refusal, InvalidError) else {}
    return page(
        visit,
        "player.html",
        status=422 if refusal is not None else filters.status,
        filters=filters,
        wanted=wanted,
        player=player,
        events=events,
        **await traced(visit, events),
        missing=missing,
        errors=told,
        typed=visit.form.values(),
    )


def _back(user_id: str, note: str) -> Reply:
    return redirect(f"{_PLAYERS}?{urlencode({'user_id': user_id})}", note=note)


ROUTES = (
    Route("GET", _PLAYERS, "viewer", get_player),
    Route("POST", _PLAYERS + "/ban", "live-ops", post_ban),
    Route("POST", _PLAYERS + "/unban", "live-ops", post_unban),
    Route("POST", _PLAYERS + "/export", "live-ops", post_export),
    Route("POST", _PLAYERS + "/erase", "live-ops", post_erase),
)
