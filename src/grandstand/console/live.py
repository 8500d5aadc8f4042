"""Server-Sent Events for pages of the console: the same streams as the API's, for operators' sessions."""

import time
from collections.abc import Awaitable, Callable

from litestar.types import HTTPScope, Receive, Send

from grandstand.api.live import LIVE_ENTRIES_MAX, Opening, Seat, stream_live
from grandstand.api.parameters import read_key, read_tournament_id
from grandstand.api.services import Services
from grandstand.console.services import ConsoleServices
from grandstand.domain.operators import Operator
from grandstand.operations.live_boards import Topic
from grandstand.operations.live_tournaments import TournamentTopic
from grandstand.operations.read_leaderboard import WHOLE_BOARD

STREAM_SECONDS = 300.0
"""After so long a stream ends; the browser comes again by itself, and its session counts as used."""

_PARTS = 4
IsGood = Callable[[], bool]
"""Whether the session that a stream is for goes on; asked with everything that is told."""


def find_live(scope: HTTPScope) -> tuple[str, str] | None:
    """Return what `/console/live` or a path like `/console/leaderboards/{key}/live` hears of, and its key or id."""
    parts = scope["path"].strip("/").split("/")
    if parts == ["console", "live"]:
        return "overview", ""
    is_live = len(parts) == _PARTS and parts[0] == "console" and parts[3] == "live"
    return (parts[1], parts[2]) if is_live and parts[1] in ("leaderboards", "tournaments") else None


async def stream_board(
    services: Services, name: str, is_good: IsGood, scope: HTTPScope, receive: Receive, send: Send
) -> None:
    """Send the top of a board whenever it changes, until the client or its session goes away.

    Raises:
        GrandstandError: there is no such board.
    """
    key = read_key(name)
    topic = Topic(key, WHOLE_BOARD, LIVE_ENTRIES_MAX, await services.reader.visibility(key))
    await stream_live(scope, receive, send, _seat(services.live.open(topic), is_good))


async def stream_tournament(
    services: Services, name: str, is_good: IsGood, scope: HTTPScope, receive: Receive, send: Send
) -> None:
    """Send the top of a tournament whenever it changes, until the client or its session goes away.

    Raises:
        GrandstandError: there is no such tournament.
    """
    tournament_id = read_tournament_id(name)
    visibility = await services.tournament_ranks.visibility(tournament_id)
    topic = TournamentTopic(tournament_id, WHOLE_BOARD, LIVE_ENTRIES_MAX, visibility, occurrence=None)
    await stream_live(scope, receive, send, _seat(services.live_tournaments.open(topic), is_good))


async def stream_overview(
    services: ConsoleServices, operator: Operator, is_good: IsGood, scope: HTTPScope, receive: Receive, send: Send
) -> None:
    """Send the overview every few seconds, until the client or its session goes away."""
    await stream_live(scope, receive, send, _seat(services.overview.open(is_admin=operator.may("admin")), is_good))


async def _seat(opening: Awaitable[Seat], is_good: IsGood) -> Opening:
    ends_at = time.monotonic() + STREAM_SECONDS
    return Opening(await opening, lambda: is_good() and time.monotonic() < ends_at)
