"""The reads that games ask for after every match: which path is which, for whoever answers them without the framework.

The framework's handlers call the same functions.
"""

from collections.abc import Awaitable, Callable

import msgspec
from litestar.types import HTTPScope

from grandstand.api.page_sources import BOARD_PAGES, BOARD_ROUTE, TOURNAMENT_PAGES, TOURNAMENT_ROUTE
from grandstand.api.pages import Pages
from grandstand.api.place_reads import board_nearby, board_user, tournament_nearby, tournament_user
from grandstand.api.prize_reads import PRIZES_PATH, list_prizes
from grandstand.api.replies import Reply
from grandstand.api.services import Services

Read = Callable[[HTTPScope, Services, Pages], Awaitable[Reply]]
"""Answers a request. Raises the `GrandstandError` of every refusal of the contract."""


class PlainRead(msgspec.Struct):
    """What a path asks for: as what it is counted, what answers it, and whose rank, or the ranks around whom.

    These as the key of the board and the user, both percent-encoded.
    """

    route: str
    read: Read
    rank_of: tuple[str, str] | None = None
    around: tuple[str, str] | None = None


_PlaceRead = Callable[[HTTPScope, Services, Pages, str, str], Awaitable[Reply]]
_TOURNAMENT = "/api/tournaments/{tournament_id}"
_PLACES: dict[tuple[str, str], tuple[str, _PlaceRead]] = {
    ("leaderboards", ""): (f"{BOARD_ROUTE}/users/{{user_id}}", board_user),
    ("leaderboards", "nearby"): (f"{BOARD_ROUTE}/users/{{user_id}}/nearby", board_nearby),
    ("tournaments", ""): (f"{_TOURNAMENT}/users/{{user_id}}", tournament_user),
    ("tournaments", "nearby"): (f"{_TOURNAMENT}/users/{{user_id}}/nearby", tournament_nearby),
}


def find_read(raw_path: bytes) -> PlainRead | None:
    """Return what a path, percent-encoded, asks for if that is ranks or prizes; None for any other."""
    # What is looked for has seven parts at most; a target may have thousands.
    match raw_path.decode("latin-1").split("/", 8):
        case ["", "api", kind, key, "users", user] if user:
            return _place_read(kind, key, user, "")
        case ["", "api", kind, key, "users", user, last] if user and last:
            return _place_read(kind, key, user, last)
        # `user` is no leaderboard but the first part of another route.
        case ["", "api", "leaderboards", key] if key and key != "user":
            return PlainRead(BOARD_ROUTE, lambda scope, _, pages: pages.answer(scope, BOARD_PAGES, key))
        case ["", "api", "tournaments", tournament_id, "leaderboard"] if tournament_id:
            return PlainRead(
                TOURNAMENT_ROUTE, lambda scope, _, pages: pages.answer(scope, TOURNAMENT_PAGES, tournament_id)
            )
        case ["", "api", "prizes"]:
            return PlainRead(PRIZES_PATH, list_prizes)
        case _:
            return None


def _place_read(kind: str, key: str, user: str, last: str) -> PlainRead | None:
    found = _PLACES.get((kind, last))
    if found is None or not key or key == "user":
        return None
    route, read = found
    rank_of = (key, user) if read is board_user else None
    around = (key, user) if read is board_nearby else None
    return PlainRead(route, lambda scope, services, pages: read(scope, services, pages, key, user), rank_of, around)
