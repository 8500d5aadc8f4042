"""The overview: how the deployment is doing right now."""

import asyncio

from grandstand.api.replies import Reply
from grandstand.console.charts import line_chart
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit


async def get_overview(visit: Visit) -> Reply:
    """Show the overview, or the part of it that changes all the time."""
    api = visit.services.api
    health, letters, held = await asyncio.gather(
        api.health.health(),
        api.dead_letters.list(status="dead", limit=1),
        api.quarantine.list(status="held", limit=1),
        return_exceptions=True,
    )
    if isinstance(health, BaseException):
        raise health
    looks = visit.services.load.looks
    return page(
        visit,
        "overview_now.html" if visit.is_part else "overview.html",
        health=health,
        pools=api.health.pools(),
        looks=looks,
        last=looks[-1] if looks else None,
        has_dead=not isinstance(letters, BaseException) and bool(letters.dead_letters),
        has_held=not isinstance(held, BaseException) and bool(held.quarantine),
    )


async def get_events_chart(visit: Visit) -> Reply:
    """Show events a second as a picture."""
    looks = visit.services.load.looks
    return line_chart([look.at for look in looks], [look.events_per_second for look in looks], name="Events a second")


ROUTES = (
    Route("GET", "/console", "viewer", get_overview),
    Route("GET", "/console/charts/events.svg", "viewer", get_events_chart),
)
