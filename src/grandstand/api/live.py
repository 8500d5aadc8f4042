"""`GET /api/leaderboards/{key}/live` and `/api/tournaments/{id}/live`: Server-Sent Events with the top entries.

Raw ASGI, because a listener is a connection for hours: it costs one waiting task, and one that does not take what it
is sent is dropped.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from litestar.types import HTTPScope, Receive, Send

from grandstand.api.access import principal_of, require_reader
from grandstand.api.parameters import Query, read_key, read_tournament_id
from grandstand.api.services import Services
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.operations.live_boards import Listener, Topic, Update
from grandstand.operations.live_tournaments import TournamentTopic
from grandstand.operations.read_leaderboard import WHOLE_BOARD
from grandstand.telemetry import metrics

LIVE_ENTRIES_MAX = 100
LIVE_ENTRIES = 10
KEEP_ALIVE_SECONDS = 15.0
"""After so long without an update a comment is sent, so that proxies keep the connection."""

SEND_TIMEOUT_SECONDS = 10.0
"""A listener that takes nothing for so long is dropped; it may come back with `Last-Event-ID`."""

RETRY_MILLISECONDS = 2_000
ABORT = "grandstand.abort"
"""ASGI extension: a function that ends the connection at once, whatever is still to be sent."""

MEDIA_TYPE = "text/event-stream"
HEADERS = ((b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))
"""No copy is kept, and a proxy (nginx) hands on each update as it comes."""


async def open_board(scope: HTTPScope, services: Services, encoded_key: str) -> Listener:
    """Begin to listen to a board.

    Raises:
        GrandstandError: every refusal of the contract.
    """
    return await services.live.open(await read_topic(scope, services, encoded_key))


async def open_tournament(scope: HTTPScope, services: Services, encoded_id: str) -> Listener:
    """Begin to listen to a tournament.

    Raises:
        GrandstandError: every refusal of the contract.
    """
    return await services.live_tournaments.open(await read_tournament_topic(scope, services, encoded_id))


async def stream_live(scope: HTTPScope, receive: Receive, send: Send, opening: Awaitable[Listener]) -> int:
    """Send updates until the client goes away; return the status for the request counts.

    Raises:
        GrandstandError: every refusal of the contract, before anything is sent.
    """
    listener = await opening
    try:
        headers = [(b"content-type", MEDIA_TYPE.encode()), *HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        updates = listener.updates(_last_id(scope), KEEP_ALIVE_SECONDS)
        sending = asyncio.create_task(_send_all(send, updates))
        leaving = asyncio.create_task(_wait_for_the_end(receive))
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            if sending.done() and isinstance(sending.exception(), TimeoutError):
                metrics.LIVE_DROPPED.inc()
                await _drop(scope, leaving)
        finally:
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
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


def _limit(query: Query) -> int:
    limit = query.count("limit", LIVE_ENTRIES)
    if not 1 <= limit <= LIVE_ENTRIES_MAX:
        raise InvalidError([FieldError("limit", f"must be between 1 and {LIVE_ENTRIES_MAX}")])
    return limit


async def _drop(scope: HTTPScope, leaving: asyncio.Task[None]) -> None:
    """End a connection that takes nothing. Closing it in order would wait for what is still to be sent."""
    abort: Callable[[], None] | None = (scope.get("extensions") or {}).get(ABORT)  # type: ignore[assignment]
    if abort is not None:
        abort()
        await leaving


async def _send_all(send: Send, updates: AsyncIterator[Update | None]) -> None:
    await _send_one(send, b"retry: %d\n\n" % RETRY_MILLISECONDS)
    async for update in updates:
        await _send_one(send, _render(update))
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_one(send: Send, data: bytes) -> None:
    async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _wait_for_the_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _render(update: Update | None) -> bytes:
    if update is None:
        return b": still here\n\n"
    return b"event: update\nid: " + update.id.encode() + b"\ndata: " + update.data + b"\n\n"


def _last_id(scope: HTTPScope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"last-event-id":
            return value.decode("latin-1")
    return None
