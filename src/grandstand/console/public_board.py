"""`/boards/{key}`: a public board for everyone, alone or inside another page (`?embed=1`).

It is cached as the API's pages are: browsers and edges keep it, and the address alone decides what it says.
"""

from grandstand.api.parameters import read_key
from grandstand.api.replies import Reply
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import NotFoundError

_ROWS = 50
_EMBEDDED_ROWS = 10


async def get_board(visit: Visit) -> Reply:
    """Show a public board; a private one is not there."""
    key, query = read_key(str(visit.path["key"])), visit.query
    api = visit.services.api
    if await api.reader.visibility(key) != "public":
        raise NotFoundError("leaderboard_not_found", "There is no public leaderboard with this key.")
    is_embedded = query.text("embed") is not None
    limit = _EMBEDDED_ROWS if is_embedded else _ROWS
    part, cursor = query.part(), query.text("cursor")
    ranks = await api.reader.page(key, limit=limit, cursor=cursor, part=part)
    title = (await api.definer.get(key)).title or key
    most = api.settings.public_max_age_seconds
    cache = f"public, max-age={most}, s-maxage={most}, stale-while-revalidate={4 * most}"
    return page(
        visit,
        "public_board.html",
        headers=((b"cache-control", cache.encode()),),
        title=title,
        ranks=ranks,
        limit=limit,
        is_embedded=is_embedded,
        is_live=cursor is None and part.period is None and part.segment is None and part.bucket is None,
        query=query,
    )


ROUTES = (Route("GET", "/boards/{key:str}", None, get_board),)
