"""`POST /api/players/sessions`."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from grandstand.api.access import principal_of
from grandstand.api.bodies import read_body
from grandstand.api.replies import json_reply
from grandstand.api.services import Services

SESSION_BYTES_MAX = 16_384


class PlayerRoutes(Controller):
    """The routes of players."""

    path = "/api/players"

    @post("/sessions", status_code=HTTPStatus.CREATED)
    async def post_session(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Open a player session."""
        principal = principal_of(request.scope, services)
        body = await read_body(request.scope, request.receive, SESSION_BYTES_MAX)
        session = await services.sessions.open(body, principal)
        return json_reply(session, HTTPStatus.CREATED).as_response()
