"""What pages of ranks are of: a board, or an occurrence of a tournament. `pages.py` serves both alike."""

from collections.abc import Hashable
from typing import Protocol

from grandstand.api.parameters import Query, read_key, read_tournament_id
from grandstand.api.services import Services
from grandstand.domain.credentials import Scope
from grandstand.domain.errors import NotFoundError
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.answer_cache import Mark
from grandstand.operations.find_ranking import Part
from grandstand.operations.leaderboard_views import Page

BOARD_ROUTE = "/api/leaderboards/{key}"
TOURNAMENT_ROUTE = "/api/tournaments/{tournament_id}/leaderboard"


class PageSource(Protocol):
    """Where pages come from. All raise the `GrandstandError` of every refusal of the contract."""

    route: str
    scope: Scope
    """What a key needs to read a private one."""

    def key(self, encoded: str) -> str:
        """Return the key, or id, of a path segment that is still percent-encoded."""

    async def visibility(self, services: Services, key: str) -> Visibility:
        """Return who may read."""

    async def marking(self, services: Services, key: str, query: Query) -> Mark:
        """Return what tells of changes of the page that a query asks for; see `AnswerCache`."""

    async def read(self, services: Services, key: str, query: Query, reader_id: str | None) -> tuple[Page, bool]:
        """Return a page, and whether it is of an archived period; `reader_id` is who asks, unless the query says."""


class BoardPages:
    """Pages of leaderboards."""

    route = BOARD_ROUTE
    scope: Scope = "leaderboards:read"

    def key(self, encoded: str) -> str:
        """As `PageSource` says, and so do all others."""
        return read_key(encoded)

    async def visibility(self, services: Services, key: str) -> Visibility:
        """Return the board's."""
        return await services.reader.visibility(key)

    async def marking(self, services: Services, key: str, query: Query) -> Mark:
        """Return the mark of one period; only of a whole board it is known what changes it."""
        part = query.part()
        if part != Part(part.period):
            return _unheard
        return lambda: services.reader.generation(key, part)

    async def read(self, services: Services, key: str, query: Query, reader_id: str | None) -> tuple[Page, bool]:
        """Read a page of the board, or of a part of it."""
        # Asked first: what is archived while a page is read may hold more than the page.
        is_archived = await services.reader.is_archived(key, query.part())
        page = await services.reader.page(
            key,
            user_id=query.user_id() or reader_id,
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
            from_rank=query.integer("from_rank"),
            part=query.part(),
        )
        return page, is_archived


class TournamentPages:
    """Pages of tournaments."""

    route = TOURNAMENT_ROUTE
    scope: Scope = "tournaments:read"

    def key(self, encoded: str) -> str:
        """As `PageSource` says, and so do all others."""
        return read_tournament_id(encoded)

    async def visibility(self, services: Services, key: str) -> Visibility:
        """Return the tournament's."""
        return await services.tournament_ranks.visibility(key)

    async def marking(self, services: Services, key: str, query: Query) -> Mark:
        """Return the mark of one occurrence."""
        occurrence = query.occurrence()
        try:
            return await services.tournament_ranks.marking(key, occurrence)
        except NotFoundError:
            # Reading says so, after it has looked at the rest of the query.
            return _unheard

    async def read(self, services: Services, key: str, query: Query, reader_id: str | None) -> tuple[Page, bool]:
        """Read a page of an occurrence."""
        page = await services.tournament_ranks.page(
            key,
            occurrence=query.occurrence(),
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
            from_rank=query.integer("from_rank"),
            user_id=query.user_id() or reader_id,
        )
        return page, False


def _unheard() -> Hashable | None:
    return None


BOARD_PAGES, TOURNAMENT_PAGES = BoardPages(), TournamentPages()
