"""Posts of events that arrived as a whole: judged where their body ends, answered when the events are durable.

The usual way gives each request a task, a scope with its `receive`, and two messages; for one event that costs more
than to judge it. Here the group commit's future carries the answer. What has to wait for anything else (a limit that
must be asked) does so in a task, and what is not plain (encoded, announced, pipelined) takes the usual way.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, cast

from litestar.types import ASGIApp, HTTPScope

from grandstand.api.access import authorization_of, require_sender
from grandstand.api.at_once import Whole
from grandstand.api.bodies import check_whole_body
from grandstand.api.events import EVENTS_PATH, reply_of_receipt
from grandstand.api.limits import admit_events, admit_events_at_once, admit_request
from grandstand.api.problems import RateLimitedError, reply_of, reply_of_unexpected
from grandstand.api.replies import Headers, Reply, headers_of
from grandstand.api.request_counts import RequestCounts
from grandstand.api.request_heads import RawHeaders
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal
from grandstand.domain.errors import GrandstandError
from grandstand.operations.accept_events import Judged

LIMITED_ROUTE = "limited"
EVENTS_TARGET = EVENTS_PATH.encode()

Respond = Callable[[Whole], None]
"""Sends the answer, if its client is still there."""

PostAtOnce = Callable[[RawHeaders, bytes, tuple[str, int], Respond], bool]
"""Takes the headers of a `POST /api/events`, its whole body, the peer, and what sends the answer: now or later, once.

False, and nothing is done or sent, if the request has to take the usual way."""


def post_at_once_of(app: ASGIApp) -> PostAtOnce | None:
    """Return what an app takes posts at once with; None of an app that has nothing of the kind."""
    return cast("PostAtOnce | None", getattr(app, "post_at_once", None))


class EventPosts:
    """Takes the posts of one process, by the same rules and with the same answers as `events.take_events`."""

    def __init__(self, services: Services, counts: RequestCounts) -> None:
        self._services = services
        self._counts = counts
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, headers: RawHeaders, body: bytes, peer: tuple[str, int], respond: Respond) -> bool:
        """Take a post; True."""
        began_at = time.perf_counter()
        # What the rules look at of a request.
        scope = cast("HTTPScope", {"path": EVENTS_PATH, "headers": headers, "client": peer})
        try:
            admission = admit_request(scope, self._services)
        except Exception as error:  # noqa: BLE001 - a fault of ours is logged and answered, too
            self._refuse(began_at, respond, error)
            return True
        if isinstance(admission, tuple):
            self._begin(scope, body, partial(self._answer, began_at, respond, admission))
        else:
            self._run(self._begin_later(scope, body, admission, began_at, respond))
        return True

    async def _begin_later(
        self, scope: HTTPScope, body: bytes, admission: Awaitable[Headers], began_at: float, respond: Respond
    ) -> None:
        try:
            headers = await admission
        except Exception as error:  # noqa: BLE001 - as above
            self._refuse(began_at, respond, error)
        else:
            self._begin(scope, body, partial(self._answer, began_at, respond, headers))

    def _begin(self, scope: HTTPScope, body: bytes, answer: Callable[[Reply], None]) -> None:
        """Judge the events of a request that is within the limits, and hand them in."""
        services = self._services
        try:
            principal = services.authenticator.principal(authorization_of(scope))
            require_sender(principal, "events:write")
            check_whole_body(scope, body, services.settings.body_max_bytes)
            signatures = services.authenticator.signatures_of(
                principal, is_required=services.settings.signed_events_required
            )
            judged = services.intake.judge(body, principal.user_id, signatures)
            if admit_events_at_once(principal, services, judged.valid):
                written = services.intake.write(judged)
            else:
                self._run(self._write_later(principal, judged, answer))
                return
        except Exception as error:  # noqa: BLE001 - as above
            answer(_refusal(error))
        else:
            written.add_done_callback(partial(_settle, answer, judged))

    async def _write_later(self, principal: Principal, judged: Judged, answer: Callable[[Reply], None]) -> None:
        try:
            await admit_events(principal, self._services, judged.valid)
            await self._services.intake.write(judged)
            reply = reply_of_receipt(judged.receipt)
        except Exception as error:  # noqa: BLE001 - as above
            reply = _refusal(error)
        answer(reply)

    def _refuse(self, began_at: float, respond: Respond, error: Exception) -> None:
        route = LIMITED_ROUTE if isinstance(error, RateLimitedError) else EVENTS_PATH
        self._answer(began_at, respond, (), _refusal(error), route)

    def _answer(self, began_at: float, respond: Respond, more: Headers, reply: Reply, route: str = EVENTS_PATH) -> None:
        lines = b"".join([b"%b: %b\r\n" % header for header in (*headers_of(reply), *more)])
        respond(Whole(_status_line(reply.status), lines, reply.body))
        self._counts.add(route, reply.status, time.perf_counter() - began_at)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="take events")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _settle(answer: Callable[[Reply], None], judged: Judged, written: "asyncio.Future[None]") -> None:
    if written.cancelled():
        # Only where the loop ends.
        return
    error = written.exception()
    answer(reply_of_receipt(judged.receipt) if error is None else _refusal(error))


def _refusal(error: BaseException) -> Reply:
    if isinstance(error, GrandstandError):
        return reply_of(error)
    if not isinstance(error, Exception):
        raise error
    return reply_of_unexpected(error, "POST", EVENTS_PATH)


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
