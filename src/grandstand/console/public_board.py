"""`/boards/{key}`: a public board for everyone, alone or inside another page (`?embed=1`), and a picture of it.

It is cached as the API's pages are: browsers and edges keep it, and the address alone decides what it says.
"""

import hashlib

from grandstand.api.parameters import read_key
from grandstand.api.public_reads import not_modified
from grandstand.api.replies import Headers, Reply
from grandstand.console.assets import answer_script
from grandstand.console.card_drawer import CARD_SECONDS
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import NotFoundError

_ROWS = 50
_EMBEDDED_ROWS = 10
_AGE = f"public, max-age={CARD_SECONDS}, s-maxage={CARD_SECONDS}, stale-while-revalidate={4 * CARD_SECONDS}"
_CARD: Headers = ((b"cache-control", _AGE.encode()),)


async def get_board(visit: Visit) -> Reply:
    """Show a public board; a private one is not there."""
    key, query = await _public(visit), visit.query
    api = visit.services.api
    is_embedded = query.text("embed") is not None
    limit = _EMBEDDED_ROWS if is_embedded else _ROWS
    part, cursor = query.part(), query.text("cursor")
    # Asked first: what is archived while a page is read may hold more than the page.
    is_archived = await api.reader.is_archived(key, part)
    ranks = await api.reader.page(key, limit=limit, cursor=cursor, part=part)
    reply = page(
        visit,
        "public_board.html",
        headers=((b"cache-control", visit.services.public.control(ranks.period_ends_at, is_archived=is_archived)),),
        title=(await api.definer.get(key)).title or key,
        ranks=ranks,
        limit=limit,
        is_embedded=is_embedded,
        # Not from the request: a copy of this page is for others, and `Host` would be whatever the first of them sent.
        public_url=api.settings.public_url,
        is_live=cursor is None and part.period is None and part.segment is None and part.bucket is None,
        query=query,
    )
    return _tagged(reply, visit)


async def get_card(visit: Visit) -> Reply:
    """Show the picture of a public board."""
    card = await visit.services.cards.get(await _public(visit))
    return _tagged(Reply(200, card, "image/png", _CARD), visit)


async def get_script(_: Visit) -> Reply:
    """Hand out the script that puts a board into another page."""
    return answer_script("embed.js")


async def _public(visit: Visit) -> str:
    """Return the key of a board that everyone may see.

    Raises:
        NotFoundError: there is none.
    """
    key = read_key(str(visit.path["key"]))
    if await visit.services.api.reader.visibility(key) != "public":
        raise NotFoundError("leaderboard_not_found", "There is no public leaderboard with this key.")
    return key


def _tagged(reply: Reply, visit: Visit) -> Reply:
    """Return an answer under a tag of its content, or that the client has it already."""
    tag = b'"%b"' % hashlib.blake2b(reply.body, digest_size=12).hexdigest().encode("ascii")
    return not_modified(reply._replace(headers=(*reply.headers, (b"etag", tag))), visit.scope)


ROUTES = (
    # No key begins with a hyphen.
    Route("GET", "/boards/-/embed.js", None, get_script),
    Route("GET", "/boards/{key:str}", None, get_board),
    Route("GET", "/boards/{key:str}/card.png", None, get_card),
)
