"""The list of prizes, which games ask for after matches: the front answers it without the framework."""

from litestar.types import HTTPScope

from grandstand.api.access import principal_of, require_self, require_sender
from grandstand.api.pages import Pages
from grandstand.api.parameters import Query
from grandstand.api.replies import PRIVATE, Reply, json_reply
from grandstand.api.services import Services

PRIZES_PATH = "/api/prizes"


async def list_prizes(scope: HTTPScope, services: Services, _: Pages) -> Reply:
    """Return prizes; a player's token sees its own. Raises the `GrandstandError` of every refusal of the contract."""
    principal = principal_of(scope, services)
    require_sender(principal, "prizes:read")
    query = Query(scope["query_string"])
    user_id = query.user_id() or principal.user_id
    if user_id is not None:
        require_self(principal, user_id, "prizes:read")
    found = await services.prizes.list(
        user_id=user_id,
        status=query.text("status"),
        tournament_id=query.text("tournament_id"),
        limit=query.count("limit", 100),
        cursor=query.text("cursor"),
        # A server that was told of a settlement pays by what it reads next.
        is_fresh=principal.user_id is None,
    )
    return json_reply(found, headers=PRIVATE)
