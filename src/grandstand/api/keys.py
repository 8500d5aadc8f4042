"""`/api/keys…`: the keys of the deployment, for admins."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import actor_of, principal_of, require_admin
from grandstand.api.bodies import read_body
from grandstand.api.parameters import Query
from grandstand.api.replies import json_reply
from grandstand.api.services import Services

KEY_BYTES_MAX = 16_384

AnyRequest = Request[Any, Any, Any]


class KeyRoutes(Controller):
    """The routes of keys; all need an admin key."""

    path = "/api/keys"

    @get("/")
    async def get_keys(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """List the keys."""
        require_admin(principal_of(request.scope, services))
        query = Query(request.scope["query_string"])
        found = await services.keys.list(limit=query.count("limit", 100), cursor=query.text("cursor"))
        return json_reply(found).as_response()

    @post("/", status_code=HTTPStatus.CREATED)
    async def post_key(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Make a key and show it, this once."""
        principal = principal_of(request.scope, services)
        require_admin(principal)
        body = await read_body(request.scope, request.receive, KEY_BYTES_MAX)
        made = await services.keys.create(body, actor=actor_of(principal))
        await services.authenticator.refresh()
        return json_reply(made, HTTPStatus.CREATED).as_response()

    @post("/{key_id:str}/rotate", status_code=HTTPStatus.CREATED)
    async def post_rotate(
        self, request: AnyRequest, services: NamedDependency[Services], key_id: FromPath[str]
    ) -> Response[bytes]:
        """Make a key like another, which ends after a while."""
        principal = principal_of(request.scope, services)
        require_admin(principal)
        body = await read_body(request.scope, request.receive, KEY_BYTES_MAX)
        made = await services.keys.rotate(key_id, body, actor=actor_of(principal))
        await services.authenticator.refresh()
        return json_reply(made, HTTPStatus.CREATED).as_response()

    @delete("/{key_id:str}")
    async def delete_key(
        self, request: AnyRequest, services: NamedDependency[Services], key_id: FromPath[str]
    ) -> Response[None]:
        """Put a key out of force."""
        require_admin(principal_of(request.scope, services))
        await services.keys.revoke(key_id)
        await services.authenticator.refresh()
        return Response(None, headers={"cache-control": "no-store"})
