"""What was held back: implausible events in the quarantine, and events that could not be processed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from grandstand.api.replies import Reply
from grandstand.console.filters import filters_of, look
from grandstand.console.forms import FormField
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.templating import link
from grandstand.console.visit import Visit
from grandstand.domain.errors import ConflictError, NotFoundError
from grandstand.operations.dead_letter_views import DeadLetterList
from grandstand.operations.manage_quarantine import QuarantineList

_AT_ONCE = 100
"""The rows of a page, so what can be ticked."""
QUARANTINE_FILTERS = (
    FormField("leaderboard", "Leaderboard"),
    FormField("user_id", "Player's id"),
    FormField("status", "Status", "select", choices=("held", "released", "rejected")),
)
LETTER_FILTERS = (
    FormField("event_type", "Event type"),
    FormField("user_id", "Player's id"),
    FormField("error", "Error"),
    FormField("status", "Status", "select", choices=("dead", "replayed")),
)
Back = tuple[str, Sequence[FormField]]
"""A list, to which one comes back within the same filters."""

_QUARANTINE: Back = ("/console/quarantine", QUARANTINE_FILTERS)
_LETTERS: Back = ("/console/dead-letters", LETTER_FILTERS)


async def get_quarantine(visit: Visit) -> Reply:
    """List quarantined events."""
    query = visit.query
    asked = visit.services.api.quarantine.list(
        leaderboard=query.text("leaderboard"),
        user_id=query.text("user_id"),
        status=query.text("status") or "held",
        limit=_AT_ONCE,
        cursor=query.text("cursor"),
    )
    found, filters = await look(query, QUARANTINE_FILTERS, asked, QuarantineList([]))
    return page(visit, "quarantine.html", status=filters.status, found=found, query=query, filters=filters)


async def post_release(visit: Visit) -> Reply:
    """Let the ticked events count."""
    return await _each(visit, visit.services.api.quarantine.release, _QUARANTINE, "released")


async def post_reject(visit: Visit) -> Reply:
    """Say that the ticked events never count."""
    return await _each(visit, visit.services.api.quarantine.reject, _QUARANTINE, "rejected")


async def get_letters(visit: Visit) -> Reply:
    """List dead letters."""
    query = visit.query
    asked = visit.services.api.dead_letters.list(
        status=query.text("status") or "dead",
        event_type=query.text("event_type"),
        user_id=query.text("user_id"),
        error=query.text("error"),
        limit=_AT_ONCE,
        cursor=query.text("cursor"),
    )
    found, filters = await look(query, LETTER_FILTERS, asked, DeadLetterList([]))
    return page(visit, "dead_letters.html", status=filters.status, found=found, query=query, filters=filters)


async def get_letter(visit: Visit) -> Reply:
    """Show a dead letter with what came."""
    letter = await visit.services.api.dead_letters.get(str(visit.path["letter_id"]))
    return page(visit, "dead_letter.html", letter=letter)


async def post_replay(visit: Visit) -> Reply:
    """Send the ticked events again."""
    return await _each(visit, visit.services.api.dead_letters.replay, _LETTERS, "replayed")


async def post_delete(visit: Visit) -> Reply:
    """Forget the ticked letters."""
    return await _each(visit, visit.services.api.dead_letters.delete, _LETTERS, "deleted")


async def _each(visit: Visit, action: Callable[[str], Awaitable[Any]], back: Back, note: str) -> Reply:
    """Do it with each ticked row; what somebody else was quicker with is told, and does not stop the rest."""
    ticked = visit.form.all("id")[:_AT_ONCE]
    for chosen in ticked:
        try:
            await action(chosen)
        except (NotFoundError, ConflictError):
            note = "gone"
    path, fields = back
    return redirect(link(path, **filters_of(visit.query, fields).kept), note=note if ticked else "none")


ROUTES = (
    Route("GET", "/console/quarantine", "viewer", get_quarantine),
    Route("POST", "/console/quarantine/release", "live-ops", post_release),
    Route("POST", "/console/quarantine/reject", "live-ops", post_reject),
    Route("GET", "/console/dead-letters", "admin", get_letters),
    Route("GET", "/console/dead-letters/{letter_id:str}", "admin", get_letter),
    Route("POST", "/console/dead-letters/replay", "admin", post_replay),
    Route("POST", "/console/dead-letters/delete", "admin", post_delete),
)
