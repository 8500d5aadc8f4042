"""The overview: how the deployment is doing right now."""

from datetime import timedelta

from grandstand.api.replies import Reply
from grandstand.console.charts import Chart, draw
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit

_KEPT = ((b"cache-control", b"private, max-age=300"),)
"""The address of the picture changes with what it shows."""

_SHORT = timedelta(minutes=6)
"""Within less several labels would be of one minute."""


async def get_overview(visit: Visit) -> Reply:
    """Show the overview; a stream renews what changes all the time."""
    sight = await visit.services.watch.see()
    return page(visit, "overview.html", sight=sight, is_admin=visit.may("admin"))


async def get_events_chart(visit: Visit) -> Reply:
    """Draw events a second over the last ten minutes."""
    looks = visit.services.load.looks
    values = [look.events_per_second for look in looks]
    is_short = len(looks) > 1 and looks[-1].at - looks[0].at < _SHORT
    form = "%H:%M:%S" if is_short else "%H:%M"
    chart = Chart("Events a second", "area", [f"{look.at:{form}}" for look in looks], [("Events a second", values)])
    return draw(chart)._replace(headers=_KEPT)


ROUTES = (
    Route("GET", "/console", "viewer", get_overview),
    Route("GET", "/console/charts/events.svg", "viewer", get_events_chart),
)
