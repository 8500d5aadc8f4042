"""Where a player stands, on a board or in a tournament: the rank, and the ranks around it.

Games ask this after every match, so the front answers it without the framework, whose handlers call the same functions
(`plain_reads.py`). They take the key of the board, or the id of the tournament, and the user id, all percent-encoded,
and raise the `GrandstandError` of every refusal of the contract.
"""

from datetime import datetime

import msgspec
from litestar.types import HTTPScope

from grandstand.api.access import principal_of, require_reader, shown_to
from grandstand.api.pages import Pages
from grandstand.api.parameters import Query, read_key, read_path_user_id, read_tournament_id
from grandstand.api.public_reads import not_modified
from grandstand.api.replies import Reply
from grandstand.api.services import Services
from grandstand.domain.leaderboards import Visibility

AROUND = 5
"""How many entries above and below a player are read where the request does not say."""


async def board_user(
    scope: HTTPScope,
    services: Services,
    pages: Pages,
    encoded_key: str,
    encoded_user: str,
    *,
    is_index_asked: bool = False,
) -> Reply:
    """Return a player's rank on a board; without the index if that was asked before and had no answer."""
    principal = principal_of(scope, services)
    key = read_key(encoded_key)
    visibility = await services.reader.visibility(key)
    user_id = read_path_user_id(encoded_user)
    require_reader(principal, "leaderboards:read", visibility, user_id)
    part = Query(scope["query_string"]).part()
    is_archived = await services.reader.is_archived(key, part)
    rank = await services.reader.user(key, user_id, part=part, is_index_asked=is_index_asked)
    return read_reply(scope, pages, rank, shown_to(principal, visibility), is_archived=is_archived)


async def board_nearby(
    scope: HTTPScope,
    services: Services,
    pages: Pages,
    encoded_key: str,
    encoded_user: str,
    *,
    is_index_asked: bool = False,
) -> Reply:
    """Return the ranks around a player on a board; without the index if that was asked before and had no answer."""
    principal = principal_of(scope, services)
    key = read_key(encoded_key)
    visibility = await services.reader.visibility(key)
    require_reader(principal, "leaderboards:read", visibility)
    query = Query(scope["query_string"])
    is_archived = await services.reader.is_archived(key, query.part())
    page = await services.reader.nearby(
        key,
        read_path_user_id(encoded_user),
        above=query.count("above", AROUND),
        below=query.count("below", AROUND),
        part=query.part(),
        is_index_asked=is_index_asked,
    )
    return read_reply(scope, pages, page, shown_to(principal, visibility), is_archived=is_archived)


async def tournament_user(
    scope: HTTPScope, services: Services, pages: Pages, encoded_id: str, encoded_user: str
) -> Reply:
    """Return a player's rank and attempts in a tournament."""
    principal = principal_of(scope, services)
    tournament_id = read_tournament_id(encoded_id)
    visibility = await services.tournament_ranks.visibility(tournament_id)
    user_id = read_path_user_id(encoded_user)
    require_reader(principal, "tournaments:read", visibility, user_id)
    occurrence = Query(scope["query_string"]).occurrence()
    rank = await services.tournament_ranks.user(tournament_id, user_id, occurrence=occurrence)
    return read_reply(scope, pages, rank, shown_to(principal, visibility))


async def tournament_nearby(
    scope: HTTPScope, services: Services, pages: Pages, encoded_id: str, encoded_user: str
) -> Reply:
    """Return the ranks around a player in a tournament."""
    principal = principal_of(scope, services)
    tournament_id = read_tournament_id(encoded_id)
    visibility = await services.tournament_ranks.visibility(tournament_id)
    require_reader(principal, "tournaments:read", visibility)
    query = Query(scope["query_string"])
    page = await services.tournament_ranks.nearby(
        tournament_id,
        read_path_user_id(encoded_user),
        occurrence=query.occurrence(),
        above=query.count("above", AROUND),
        below=query.count("below", AROUND),
    )
    return read_reply(scope, pages, page, shown_to(principal, visibility))


def read_reply(
    scope: HTTPScope,
    pages: Pages,
    content: msgspec.Struct,
    visibility: Visibility,
    *,
    changes_at: datetime | None = None,
    is_archived: bool = False,
) -> Reply:
    """Return a read as a reply (see `PublicReads.reply`): 304 when the client has it already."""
    reply = pages.public.reply(content, visibility, changes_at=changes_at, is_archived=is_archived)
    return not_modified(reply, scope)
