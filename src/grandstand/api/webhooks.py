"""`/api/webhooks…`: where webhooks go, and what became of them."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import principal_of, require_operator
from grandstand.api.bodies import read_body
from grandstand.api.parameters import Query
from grandstand.api.replies import json_reply
from grandstand.api.services import Services

WEBHOOK_BYTES_MAX = 16_384

AnyRequest = Request[Any, Any, Any]


class WebhookRoutes(Controller):
    """The routes of webhooks; all need a server or admin key."""

    path = "/api/webhooks"

    @post("/", status_code=HTTPStatus.CREATED)
    async def post_webhook(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Create a webhook and show its secret, this once."""
        require_operator(principal_of(request.scope, services), "webhooks:write")
        body = await read_body(request.scope, request.receive, WEBHOOK_BYTES_MAX)
        return json_reply(await services.webhooks.create(body), HTTPStatus.CREATED).as_response()

    @get("/")
    async def get_webhooks(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """List the webhooks."""
        require_operator(principal_of(request.scope, services), "webhooks:read")
        query = Query(request.scope["query_string"])
        found = await services.webhooks.list(limit=query.count("limit", 100), cursor=query.text("cursor"))
        return json_reply(found).as_response()

    @delete("/{webhook_id:str}")
    async def delete_webhook(
        self, request: AnyRequest, services: NamedDependency[Services], webhook_id: FromPath[str]
    ) -> Response[None]:
        """Remove a webhook with all that was to go to it."""
        require_operator(principal_of(request.scope, services), "webhooks:write")
        await services.webhooks.delete(webhook_id)
        return Response(None, headers={"cache-control": "no-store"})

    @post("/{webhook_id:str}/test", status_code=HTTPStatus.ACCEPTED)
    async def post_test(
        self, request: AnyRequest, services: NamedDependency[Services], webhook_id: FromPath[str]
    ) -> Response[bytes]:
        """Put a test event on its way."""
        require_operator(principal_of(request.scope, services), "webhooks:write")
        return json_reply(await services.webhooks.test(webhook_id), HTTPStatus.ACCEPTED).as_response()

    @post("/{webhook_id:str}/enable", status_code=HTTPStatus.OK)
    async def post_enable(
        self, request: AnyRequest, services: NamedDependency[Services], webhook_id: FromPath[str]
    ) -> Response[bytes]:
        """Take a webhook into use again after it answered 410."""
        require_operator(principal_of(request.scope, services), "webhooks:write")
        return json_reply(await services.webhooks.enable(webhook_id)).as_response()

    @get("/deliveries")
    async def get_deliveries(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """List deliveries, the newest first."""
        require_operator(principal_of(request.scope, services), "webhooks:read")
        query = Query(request.scope["query_string"])
        found = await services.webhooks.deliveries(
            status=query.text("status"),
            endpoint_id=query.text("endpoint_id"),
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
        )
        return json_reply(found).as_response()

    @post("/deliveries/{event_id:str}/{endpoint_id:str}/replay", status_code=HTTPStatus.ACCEPTED)
    async def post_replay(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        event_id: FromPath[str],
        endpoint_id: FromPath[str],
    ) -> Response[bytes]:
        """Send a delivery again."""
        require_operator(principal_of(request.scope, services), "webhooks:write")
        return json_reply(await services.webhooks.replay(event_id, endpoint_id), HTTPStatus.ACCEPTED).as_response()
