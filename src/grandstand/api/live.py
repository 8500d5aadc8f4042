"""`GET /api/leaderboards/{key}/live` and `/api/tournaments/{id}/live`: Server-Sent Events with the top entries.

Raw ASGI, because a listener is a connection for hours: it costs one waiting task, and one that does not take what it
is sent is dropped (`live_connection.py`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

from litestar.types import HTTPScope, Message, Receive, Send

from grandstand.api import live_connection
from grandstand.api.access import authorization_of, principal_of, require_reader
from grandstand.api.live_connection import LiveConnection, drop
from grandstand.api.parameters import Query, read_key, read_tournament_id
from grandstand.api.services import Services
from grandstand.api.wire import open_wire
from grandstand.domain.credentials import Scope
from grandstand.domain.errors import UnauthorizedError
from grandstand.domain.leaderboards import Visibility
from grandstand.domain.list_cursors import check_limit
from grandstand.operations.live_boards import Topic
from grandstand.operations.live_channel import Update
from grandstand.operations.live_tournaments import TournamentTopic
from grandstand.operations.read_leaderboard import WHOLE_BOARD

LIVE_ENTRIES_MAX = 100
LIVE_ENTRIES = 10
RETRY_MILLISECONDS = 2_000
MEDIA_TYPE = "text/event-stream"
HEADERS = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))
"""No copy is kept, and a proxy (nginx) hands on each update as it comes."""


class Seat(Protocol):
    """A place among the listeners of something, which must be closed."""

    def listen(self, tell: Callable[[Update], None], end: Callable[[], None]) -> None:
        """Have `tell` called with every state, and `end` when there will be none any more."""

    def close(self) -> None:
        """Listen no longer."""


class Opening(NamedTuple):
    """A seat among the listeners; where it takes a credential, `is_allowed` tells whether that is still good."""

    listener: Seat
    is_allowed: Callable[[], bool] | None


async def open_board(scope: HTTPScope, services: Services, encoded_key: str) -> Opening:
    """Begin to listen to a board.

    Raises:
        GrandstandError: every refusal of the contract.
    """
    topic = await read_topic(scope, services, encoded_key)
    return Opening(await services.live.open(topic), _guard(scope, services, "leaderboards:read", topic.visibility))


async def open_tournament(scope: HTTPScope, services: Services, encoded_id: str) -> Opening:
    """Begin to listen to a tournament.

    Raises:
        GrandstandError: every refusal of the contract.
    """
    topic = await read_tournament_topic(scope, services, encoded_id)
    guard = _guard(scope, services, "tournaments:read", topic.visibility)
    return Opening(await services.live_tournaments.open(topic), guard)


async def stream_live(scope: HTTPScope, receive: Receive, send: Send, opening: Awaitable[Opening]) -> int:
    """Send updates until the client goes away or its credential does; return the status for the request counts.

    Raises:
        GrandstandError: every refusal of the contract, before anything is sent.
    """
    listener, is_allowed = await opening
    try:
        wire = open_wire(scope)
        try:
            await _send_head(send)
            connection = LiveConnection(wire, _last_id(scope), is_allowed)
            listener.listen(connection.tell, connection.end)
            # This task sleeps here for hours: what is sent meanwhile is written by whoever tells.
            while not connection.is_ended and (await receive())["type"] != "http.disconnect":
                pass
            if connection.is_ended:
                await _send(send, {"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            drop(wire)
    finally:
        listener.close()
    return 200


async def read_topic(scope: HTTPScope, services: Services, encoded_key: str) -> Topic:
    """Return what a request wants to listen to, once it is clear that it may.

    Raises:
        GrandstandError: every refusal of the contract.
    """
    key = read_key(encoded_key)
    visibility = await services.reader.visibility(key)
    require_reader(principal_of(scope, services), "leaderboards:read", visibility)
    query = Query(scope["query_string"])
    return Topic(key, query.part(), _limit(query), visibility)


async def read_tournament_topic(scope: HTTPScope, services: Services, encoded_id: str) -> TournamentTopic:
    """Return what a request wants to listen to, once it is clear that it may.

    Raises:
        GrandstandError: every refusal of the contract.
    """
    tournament_id = read_tournament_id(encoded_id)
    visibility = await services.tournament_ranks.visibility(tournament_id)
    require_reader(principal_of(scope, services), "tournaments:read", visibility)
    query = Query(scope["query_string"])
    return TournamentTopic(tournament_id, WHOLE_BOARD, _limit(query), visibility, occurrence=query.occurrence())


def _guard(scope: HTTPScope, services: Services, needed: Scope, visibility: Visibility) -> Callable[[], bool] | None:
    """Return what tells whether the credential of a private stream is still good; None where none is needed."""
    if visibility == "public":
        return None
    authorization = authorization_of(scope)

    def is_allowed() -> bool:
        try:
            return services.authenticator.principal(authorization).may(needed)
        except UnauthorizedError:
            return False

    return is_allowed


def _limit(query: Query) -> int:
    limit = query.count("limit", LIVE_ENTRIES)
    check_limit(limit, LIVE_ENTRIES_MAX)
    return limit


async def _send_head(send: Send) -> None:
    headers = [(b"content-type", MEDIA_TYPE.encode()), *HEADERS]
    await _send(send, {"type": "http.response.start", "status": 200, "headers": headers})
    retry = b"retry: %d\n\n" % RETRY_MILLISECONDS
    await _send(send, {"type": "http.response.body", "body": retry, "more_body": True})


async def _send(send: Send, message: Message) -> None:
    async with asyncio.timeout(live_connection.SEND_TIMEOUT_SECONDS):
        await send(message)


def _last_id(scope: HTTPScope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"last-event-id":
            return value.decode("latin-1")
    return None
