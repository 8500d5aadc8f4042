"""The list of prizes, which games ask for after matches: the front answers it without the framework."""

from typing import NamedTuple

from litestar.types import HTTPScope

from grandstand.api.access import principal_of, require_self, require_sender
from grandstand.api.pages import Pages
from grandstand.api.parameters import Query
from grandstand.api.replies import PRIVATE, Reply, json_reply
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal
from grandstand.operations.claim_prizes import Wanted, wanted_prizes
from grandstand.operations.tournament_views import PrizeList

PRIZES_PATH = "/api/prizes"


class AskedPrizes(NamedTuple):
    """What a request may see: the prizes of a player or of all, as they are now or a moment ago."""

    user_id: str | None
    wanted: Wanted
    is_fresh: bool


def asked_prizes(principal: Principal, query_string: bytes) -> AskedPrizes:
    """Return what a request asks for; a player's token sees its own.

    Raises the `GrandstandError` of every refusal of the contract.
    """
    require_sender(principal, "prizes:read")
    query = Query(query_string)
    user_id = query.user_id() or principal.user_id
    if user_id is not None:
        require_self(principal, user_id, "prizes:read")
    wanted = wanted_prizes(
        status=query.text("status"),
        tournament_id=query.text("tournament_id"),
        limit=query.count("limit", 100),
        cursor=query.text("cursor"),
    )
    # A server that was told of a settlement pays by what it reads next.
    return AskedPrizes(user_id, wanted, principal.user_id is None)


async def list_prizes(scope: HTTPScope, services: Services, _: Pages) -> Reply:
    """Return prizes. Raises the `GrandstandError` of every refusal of the contract."""
    user_id, wanted, is_fresh = asked_prizes(principal_of(scope, services), scope["query_string"])
    return prizes_reply(await services.prizes.list(user_id, wanted, is_fresh=is_fresh))


def prizes_reply(found: PrizeList) -> Reply:
    """Return a list of prizes as a reply: for who asked, and not to be kept."""
    return json_reply(found, headers=PRIVATE)
