"""The explorer of events."""

from grandstand.api.replies import Reply
from grandstand.console.forms import read_moment
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.operations.read_events import EventList


async def get_events(visit: Visit) -> Reply:
    """Look for events of a player or of a type."""
    found, errors = EventList([]), {}
    if visit.query.text("user_id") or visit.query.text("event_type"):
        try:
            found = await _find(visit)
        except InvalidError as error:
            errors = {wrong.path: wrong.message for wrong in error.errors}
    typed = {name: visit.query.text(name) or "" for name in ("user_id", "event_type", "from", "to")}
    return page(visit, "events.html", status=422 if errors else 200, found=found, typed=typed, errors=errors)


async def _find(visit: Visit) -> EventList:
    times, wrong = {}, []
    for name in ("from", "to"):
        text = visit.query.text(name)
        try:
            times[name] = None if text is None else read_moment(text)
        except ValueError as error:
            wrong.append(FieldError(name, str(error)))
    if wrong:
        raise InvalidError(wrong)
    return await visit.services.api.events.list(
        user_id=visit.query.text("user_id"),
        event_type=visit.query.text("event_type"),
        since=times["from"],
        until=times["to"],
        limit=50,
        cursor=visit.query.text("cursor"),
    )


ROUTES = (Route("GET", "/console/events", "viewer", get_events),)
