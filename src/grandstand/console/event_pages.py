"""The explorer of events."""

from collections.abc import Sequence
from typing import Any

from grandstand.api.replies import Reply
from grandstand.console.filters import filters_of, look
from grandstand.console.forms import FormField, read_moment
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.operations.read_events import EventList, StoredEvent
from grandstand.operations.trace_events import TRACES_MAX

FILTERS = (
    FormField("user_id", "Player's id"),
    FormField("event_type", "Event type"),
    FormField("from", "Received from (UTC)", hint="2027-01-31T18:00"),
    FormField("to", "until (UTC)", hint="2027-01-31T19:00"),
)


async def get_events(visit: Visit) -> Reply:
    """Look for events of a player or of a type."""
    found, filters = EventList([]), filters_of(visit.query, FILTERS)
    if visit.query.text("user_id") or visit.query.text("event_type"):
        found, filters = await look(visit.query, FILTERS, _find(visit), found)
    return page(
        visit,
        "events.html",
        status=filters.status,
        found=found,
        filters=filters,
        typed=filters.typed,
        **await traced(visit, found.events),
    )


async def traced(visit: Visit, events: Sequence[StoredEvent]) -> dict[str, Any]:
    """Return what `event_rows.html` shows beside each event: the boards on which it scores."""
    return {"traces": await visit.services.api.tracer.trace(events), "traces_max": TRACES_MAX}


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
