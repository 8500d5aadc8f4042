"""Prizes: who won what, claimed for a player, or voided."""

from grandstand.api.replies import Reply
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit

STATUSES = ("pending", "claimed", "expired", "voided")


async def get_list(visit: Visit) -> Reply:
    """List prizes."""
    query = visit.query
    found = await visit.services.api.prizes.list(
        user_id=query.text("user_id"),
        status=query.text("status"),
        tournament_id=query.text("tournament_id"),
        limit=50,
        cursor=query.text("cursor"),
    )
    return page(visit, "prizes.html", found=found, query=query, statuses=STATUSES)


async def post_claim(visit: Visit) -> Reply:
    """Claim a prize for its player, as a game server may."""
    actor = f"operator:{visit.operator.name}"
    await visit.services.api.prizes.claim(_id(visit), key=None, only_user_id=None, actor=actor)
    return redirect("/console/prizes", note="claimed")


async def post_void(visit: Visit) -> Reply:
    """Void a prize that is not claimed."""
    actor = f"operator:{visit.operator.name}"
    reason = visit.form.text("reason")[:1000].replace("\x00", "") or None
    await visit.services.api.prizes.void(_id(visit), actor=actor, reason=reason)
    return redirect("/console/prizes", note="voided")


def _id(visit: Visit) -> str:
    return str(visit.path["prize_id"])


ROUTES = (
    Route("GET", "/console/prizes", "viewer", get_list),
    Route("POST", "/console/prizes/{prize_id:str}/claim", "live-ops", post_claim),
    Route("POST", "/console/prizes/{prize_id:str}/void", "live-ops", post_void),
)
