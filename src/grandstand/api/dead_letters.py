"""`/api/dead-letters…`: events that could not be processed, for operators."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import principal_of, require_admin
from grandstand.api.bodies import read_body
from grandstand.api.parameters import Query
from grandstand.api.replies import PRIVATE, json_reply
from grandstand.api.services import Services

REPLAY_BYTES_MAX = 16_384

AnyRequest = Request[Any, Any, Any]


class DeadLetterRoutes(Controller):
    """The routes of dead letters; all need an admin key."""

    path = "/api/dead-letters"

    @get("/")
    async def get_list(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """List dead letters, the newest first."""
        require_admin(principal_of(request.scope, services))
        query = Query(request.scope["query_string"])
        found = await services.dead_letters.list(
            status=query.text("status"),
            event_type=query.text("event_type"),
            user_id=query.text("user_id"),
            error=query.text("error"),
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
        )
        return json_reply(found, headers=PRIVATE).as_response()

    @get("/{letter_id:str}")
    async def get_one(
        self, request: AnyRequest, services: NamedDependency[Services], letter_id: FromPath[str]
    ) -> Response[bytes]:
        """Return one dead letter with what came."""
        require_admin(principal_of(request.scope, services))
        return json_reply(await services.dead_letters.get(letter_id), headers=PRIVATE).as_response()

    @post("/replay", status_code=HTTPStatus.ACCEPTED)
    async def post_replay_all(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Send many events again."""
        require_admin(principal_of(request.scope, services))
        body = await read_body(request.scope, request.receive, REPLAY_BYTES_MAX)
        return json_reply(await services.dead_letters.replay_all(body), HTTPStatus.ACCEPTED).as_response()

    @post("/{letter_id:str}/replay", status_code=HTTPStatus.ACCEPTED)
    async def post_replay(
        self, request: AnyRequest, services: NamedDependency[Services], letter_id: FromPath[str]
    ) -> Response[bytes]:
        """Send one event again."""
        require_admin(principal_of(request.scope, services))
        return json_reply(await services.dead_letters.replay(letter_id), HTTPStatus.ACCEPTED).as_response()

    @delete("/{letter_id:str}")
    async def delete_one(
        self, request: AnyRequest, services: NamedDependency[Services], letter_id: FromPath[str]
    ) -> Response[None]:
        """Forget a dead letter and its event."""
        require_admin(principal_of(request.scope, services))
        await services.dead_letters.delete(letter_id)
        return Response(None, headers={"cache-control": "no-store"})
