"""`POST` and `GET /api/events`, and `POST /api/events/import`."""

from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.types import HTTPScope, Receive

from grandstand.api.access import principal_of, require_operator, require_sender
from grandstand.api.bodies import read_body, stream_body
from grandstand.api.import_lines import ImportReport, import_lines
from grandstand.api.limits import admit_events
from grandstand.api.parameters import Query
from grandstand.api.replies import JSON, NO_STORE, PRIVATE, Reply, encode, json_reply
from grandstand.api.services import Services
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.events import Rejection
from grandstand.operations.accept_events import Receipt
from grandstand.operations.trace_events import SCORED_EVENTS_MAX

EVENTS_PATH = "/api/events"


class EventsReceipt(msgspec.Struct):
    """What became of a request's events: how many are durable, and which are not taken and why."""

    accepted: int
    rejected: list[Rejection]


async def take_events(scope: HTTPScope, receive: Receive, services: Services) -> Reply:
    """Take a batch of events; 202 once they are durable.

    Raises:
        GrandstandError: every refusal of the contract.
        ClientGoneError: the client is gone.
    """
    principal = principal_of(scope, services)
    require_sender(principal, "events:write")
    body = await read_body(scope, receive, services.settings.body_max_bytes)
    admit = None if principal.user_id is None else partial(admit_events, principal, services)
    signatures = services.authenticator.signatures_of(principal, is_required=services.settings.signed_events_required)
    return reply_of_receipt(await services.intake.accept(body, principal.user_id, admit, signatures))


def reply_of_receipt(receipt: Receipt) -> Reply:
    """Return the 202 of events that are durable."""
    if receipt.rejected:
        content = encode(EventsReceipt(receipt.accepted, receipt.rejected))
    else:
        content = b'{"accepted":%d,"rejected":[]}' % receipt.accepted
    return Reply(HTTPStatus.ACCEPTED, content, JSON, NO_STORE)


class EventRoutes(Controller):
    """The routes that take events in, and the one that lists what is stored."""

    path = EVENTS_PATH

    @get("/")
    async def get_list(self, request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
        """List stored events, the newest first."""
        principal = principal_of(request.scope, services)
        require_operator(principal, "events:read")
        query = Query(request.scope["query_string"])
        is_scored = query.flag("scores")
        if is_scored:
            # They name private boards, and what is in quarantine.
            require_operator(principal, "leaderboards:read")
        limit = query.count("limit", SCORED_EVENTS_MAX if is_scored else 100)
        if is_scored and limit > SCORED_EVENTS_MAX:
            raise InvalidError([FieldError("limit", f"must be at most {SCORED_EVENTS_MAX} with scores")])
        found = await services.events.list(
            user_id=query.text("user_id"),
            event_type=query.text("event_type"),
            since=query.moment("from"),
            until=query.moment("to"),
            limit=limit,
            cursor=query.text("cursor"),
        )
        if is_scored:
            await services.tracer.add_scores(found.events)
        return json_reply(found, headers=PRIVATE).as_response()

    @post("/", status_code=HTTPStatus.ACCEPTED)
    async def post_events(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Take events; the front answers this path sooner, by the same function."""
        return (await take_events(request.scope, request.receive, services)).as_response()

    @post("/import", status_code=HTTPStatus.OK)
    async def post_import(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Take history: NDJSON of any length."""
        require_operator(principal_of(request.scope, services), "events:write")
        report: ImportReport = await import_lines(
            stream_body(request.scope, request.receive),
            services.intake,
            line_bytes_max=services.settings.payload_max_bytes + 8192,
        )
        return json_reply(report).as_response()
