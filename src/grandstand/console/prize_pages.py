"""Prizes: who won what, claimed for a player, or voided."""

from grandstand.api.replies import Reply
from grandstand.console.filters import filters_of, look
from grandstand.console.forms import FormField
from grandstand.console.rendering import ask_again, page, redirect
from grandstand.console.routes import Route
from grandstand.console.templating import link
from grandstand.console.visit import Visit
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.operations.claim_prizes import wanted_prizes
from grandstand.operations.tournament_views import PrizeList

FILTERS = (
    FormField("tournament_id", "Tournament"),
    FormField("user_id", "Player's id"),
    FormField("status", "Status", "select", choices=("", "pending", "claimed", "expired", "voided")),
)
_REASON = FormField("reason", "Reason", hint="For the audit log; may be empty")
_REASON_MAX = 1000


async def get_list(visit: Visit) -> Reply:
    """List prizes."""
    query = visit.query
    found, filters = await look(query, FILTERS, _find(visit), PrizeList(prizes=[], next_cursor=None))
    return page(visit, "prizes.html", status=filters.status, found=found, query=query, filters=filters)


async def _find(visit: Visit) -> PrizeList:
    query = visit.query
    wanted = wanted_prizes(
        status=query.text("status"), tournament_id=query.text("tournament_id"), limit=50, cursor=query.text("cursor")
    )
    return await visit.services.api.prizes.list(query.text("user_id"), wanted)


async def post_claim(visit: Visit) -> Reply:
    """Claim a prize for its player, as a game server may."""
    actor = f"operator:{visit.operator.name}"
    await visit.services.api.prizes.claim(_id(visit), key=None, only_user_id=None, actor=actor)
    return redirect(_back(visit), note="claimed")


async def post_void(visit: Visit) -> Reply:
    """Void a prize that is not claimed."""
    actor = f"operator:{visit.operator.name}"
    reason = visit.form.text("reason")
    if len(reason) > _REASON_MAX or "\x00" in reason:
        wrong = InvalidError([FieldError("reason", f"must have at most {_REASON_MAX} characters and no NUL")])
        return ask_again(visit, "Void the prize", (_REASON,), wrong, back=_back(visit))
    await visit.services.api.prizes.void(_id(visit), actor=actor, reason=reason or None)
    return redirect(_back(visit), note="voided")


def _back(visit: Visit) -> str:
    """Return the list as it was filtered: prizes are gone through one after the other."""
    return link("/console/prizes", **filters_of(visit.query, FILTERS).kept)


def _id(visit: Visit) -> str:
    return str(visit.path["prize_id"])


ROUTES = (
    Route("GET", "/console/prizes", "viewer", get_list),
    Route("POST", "/console/prizes/{prize_id:str}/claim", "live-ops", post_claim),
    Route("POST", "/console/prizes/{prize_id:str}/void", "live-ops", post_void),
)
