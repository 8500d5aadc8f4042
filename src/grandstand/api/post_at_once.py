"""Posts of events that arrived as a whole: judged where their body ends, answered when the events are durable.

The usual way gives each request a task, a scope with its `receive`, and two messages; for one event that costs more
than to judge it. Here the group commit itself calls what answers. What has to wait for anything else (a limit that
must be asked) does so in a task, and what is not plain (encoded, announced, pipelined) takes the usual way.
"""

import time
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from http import HTTPStatus
from typing import cast

from litestar.types import ASGIApp, HTTPScope

from grandstand.api.access import Sender, require_sender, sender_with
from grandstand.api.at_once import Whole
from grandstand.api.bodies import USUAL_TYPES, check_whole_body
from grandstand.api.events import EVENTS_PATH, reply_of_receipt
from grandstand.api.limits import admit_events, admit_events_at_once, admit_sender
from grandstand.api.replies import Headers
from grandstand.api.request_heads import RawHeaders
from grandstand.api.services import Services
from grandstand.api.whole_requests import Begun, Respond, WholeRequests, refusal_of, whole_of
from grandstand.domain.credentials import Principal
from grandstand.domain.errors import UnauthorizedError
from grandstand.operations.accept_events import Judged, Receipt

EVENTS_TARGET = EVENTS_PATH.encode()


class PostHead:
    """What the headers of a post say, none of which came twice: found once for all posts that have the same."""

    __slots__ = ("authorization", "headers", "is_usual")

    def __init__(self, headers: RawHeaders) -> None:
        self.headers = headers
        self.authorization: str | None = None
        self.is_usual = True
        """Whether they announce JSON, so that of the body only its size is in question."""
        for name, value in headers:
            if name == b"authorization":
                self.authorization = value.decode("latin-1")
            elif name == b"content-type":
                self.is_usual = value in USUAL_TYPES


PostAtOnce = Callable[[PostHead, bytes, tuple[str, int], Respond], bool]
"""Takes the head of a `POST /api/events`, its whole body, the peer, and what sends the answer: now or later, once.

False, and nothing is done or sent, if the request has to take the usual way."""


def post_at_once_of(app: ASGIApp) -> PostAtOnce | None:
    """Return what an app takes posts at once with; None of an app that has nothing of the kind."""
    return cast("PostAtOnce | None", getattr(app, "post_at_once", None))


class EventPosts:
    """Takes the posts of one process, by the same rules and with the same answers as `events.take_events`."""

    def __init__(self, services: Services, requests: WholeRequests) -> None:
        self._services = services
        self._requests = requests

    def take(self, head: PostHead, body: bytes, peer: tuple[str, int], respond: Respond) -> bool:
        """Take a post; True."""
        begun = Begun("POST", EVENTS_PATH, EVENTS_PATH, time.perf_counter(), respond)
        # What the rules look at of a request.
        scope = cast("HTTPScope", {"path": EVENTS_PATH, "headers": head.headers, "client": peer})
        try:
            sender = sender_with(head.authorization, self._services)
            admission = admit_sender(scope, self._services, sender)
        except Exception as error:  # noqa: BLE001 - a fault of ours is logged and answered, too
            self._requests.refuse(begun, error)
            return True
        if isinstance(admission, tuple):
            self._begin(head, sender, body, begun, admission)
        else:
            self._requests.run(self._begin_later(head, sender, body, begun, admission), "take events")
        return True

    async def _begin_later(
        self, head: PostHead, sender: Sender, body: bytes, begun: Begun, admission: Awaitable[Headers]
    ) -> None:
        try:
            headers = await admission
        except Exception as error:  # noqa: BLE001 - as above
            self._requests.refuse(begun, error)
        else:
            self._begin(head, sender, body, begun, headers)

    def _begin(self, head: PostHead, sender: Sender, body: bytes, begun: Begun, headers: Headers) -> None:
        """Judge the events of a request that is within the limits, and hand them in."""
        services = self._services
        if isinstance(sender, UnauthorizedError):
            # Not raised: it would name this frame, which names it; see `access.sender_of`.
            self._requests.answer(begun, refusal_of(begun, sender), headers)
            return
        principal = sender
        try:
            require_sender(principal, "events:write")
            bytes_max = services.settings.body_max_bytes
            if not head.is_usual or len(body) > bytes_max:
                check_whole_body(head.headers, body, bytes_max)
            signatures = services.authenticator.signatures_of(
                principal, is_required=services.settings.signed_events_required
            )
            judged = services.intake.judge(body, principal.user_id, signatures)
            if admit_events_at_once(principal, services, judged.valid):
                services.intake.hand_in(judged, partial(self._tell, begun, headers, judged))
            else:
                self._requests.run(self._write_later(principal, judged, begun, headers), "take events")
        except Exception as error:  # noqa: BLE001 - as above
            self._requests.answer(begun, refusal_of(begun, error), headers)

    async def _write_later(self, principal: Principal, judged: Judged, begun: Begun, headers: Headers) -> None:
        try:
            await admit_events(principal, self._services, judged.valid)
            await self._services.intake.write(judged)
            reply = reply_of_receipt(judged.receipt)
        except Exception as error:  # noqa: BLE001 - as above
            reply = refusal_of(begun, error)
        self._requests.answer(begun, reply, headers)

    def _tell(self, begun: Begun, headers: Headers, judged: Judged, problem: Exception | None) -> None:
        if problem is None and not headers and not judged.outcome.rejected:
            self._requests.send(begun, HTTPStatus.ACCEPTED, _all_accepted(judged.valid))
            return
        reply = reply_of_receipt(judged.receipt) if problem is None else refusal_of(begun, problem)
        self._requests.answer(begun, reply, headers)


@lru_cache(maxsize=1024)
def _all_accepted(events: int) -> Whole:
    """Return the answer to most posts: all of its events were taken."""
    return whole_of(reply_of_receipt(Receipt(events, [])))
