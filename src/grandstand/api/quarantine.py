"""`/api/quarantine…`: events that boards found not plausible, for operators."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import principal_of, require_operator
from grandstand.api.parameters import Query
from grandstand.api.replies import PRIVATE, json_reply
from grandstand.api.services import Services

AnyRequest = Request[Any, Any, Any]


class QuarantineRoutes(Controller):
    """The routes of the quarantine; they need a server key."""

    path = "/api/quarantine"

    @get("/")
    async def get_list(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """List quarantined events, the newest first."""
        require_operator(principal_of(request.scope, services), "leaderboards:read")
        query = Query(request.scope["query_string"])
        found = await services.quarantine.list(
            leaderboard=query.text("leaderboard"),
            user_id=query.text("user_id"),
            status=query.text("status"),
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
        )
        return json_reply(found, headers=PRIVATE).as_response()

    @post("/{quarantine_id:str}/release", status_code=HTTPStatus.OK)
    async def post_release(
        self, request: AnyRequest, services: NamedDependency[Services], quarantine_id: FromPath[str]
    ) -> Response[bytes]:
        """Let an event count."""
        require_operator(principal_of(request.scope, services), "leaderboards:write")
        return json_reply(await services.quarantine.release(quarantine_id), headers=PRIVATE).as_response()

    @post("/{quarantine_id:str}/reject", status_code=HTTPStatus.OK)
    async def post_reject(
        self, request: AnyRequest, services: NamedDependency[Services], quarantine_id: FromPath[str]
    ) -> Response[bytes]:
        """Say that an event never counts."""
        require_operator(principal_of(request.scope, services), "leaderboards:write")
        return json_reply(await services.quarantine.reject(quarantine_id), headers=PRIVATE).as_response()
