"""`/api/players…`: sessions, what a game says of a player, what is known of one, and bans."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import actor_of, authorization_of, principal_of, require_operator, require_self
from grandstand.api.bodies import read_body
from grandstand.api.parameters import read_path_user_id
from grandstand.api.replies import PRIVATE, FileReply, json_reply
from grandstand.api.services import Services

SESSION_BYTES_MAX = 16_384
PLAYER_BYTES_MAX = 16_384


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

    @post("/sessions/refresh", status_code=HTTPStatus.CREATED)
    async def post_refresh(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Give a new token for one that is still good."""
        session = services.sessions.renew(authorization_of(request.scope))
        return json_reply(session, HTTPStatus.CREATED).as_response()

    @delete("/{user_id:str}/sessions")
    async def delete_sessions(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], user_id: FromPath[str]
    ) -> Response[None]:
        """Put every token of a player out of force."""
        user = read_path_user_id(user_id)
        require_self(principal_of(request.scope, services), user, "players:write")
        await services.sessions.end_all(user)
        await services.authenticator.refresh()
        return Response(None, headers={"cache-control": "no-store"})

    @put("/{user_id:str}")
    async def put_player(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], user_id: FromPath[str]
    ) -> Response[bytes]:
        """Say who a player is."""
        principal = principal_of(request.scope, services)
        user = read_path_user_id(user_id)
        require_self(principal, user, "players:write")
        body = await read_body(request.scope, request.receive, PLAYER_BYTES_MAX)
        player = await services.players.put(user, body, by_player=not principal.is_operator)
        return json_reply(player).as_response()

    @get("/{user_id:str}")
    async def get_player(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], user_id: FromPath[str]
    ) -> Response[bytes]:
        """Read what is known of a player."""
        principal = principal_of(request.scope, services)
        user = read_path_user_id(user_id)
        require_self(principal, user, "players:read")
        return json_reply(await services.profiles.get(user)).as_response()

    @get("/{user_id:str}/export")
    async def get_export(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], user_id: FromPath[str]
    ) -> Response[Any]:
        """Hand out everything that is kept of a player."""
        user = read_path_user_id(user_id)
        require_self(principal_of(request.scope, services), user, "players:read")
        document = await services.exporter.export(user)
        headers = (*PRIVATE, (b"content-disposition", b'attachment; filename="player.json"'))
        return FileReply(document, headers=headers).as_response()

    @delete("/{user_id:str}", status_code=HTTPStatus.ACCEPTED)
    async def delete_player(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], user_id: FromPath[str]
    ) -> Response[bytes]:
        """Erase a player."""
        user = read_path_user_id(user_id)
        require_self(principal_of(request.scope, services), user, "players:write")
        erasure = await services.eraser.erase(user)
        await services.authenticator.refresh()
        return json_reply(erasure, HTTPStatus.ACCEPTED).as_response()

    @post("/{user_id:str}/ban", status_code=HTTPStatus.OK)
    async def post_ban(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], user_id: FromPath[str]
    ) -> Response[bytes]:
        """Take a player off every board and refuse new scores."""
        principal = principal_of(request.scope, services)
        require_operator(principal, "players:write")
        body = await read_body(request.scope, request.receive, PLAYER_BYTES_MAX)
        ban = await services.banner.ban(read_path_user_id(user_id), body, actor=actor_of(principal))
        await services.authenticator.refresh()
        return json_reply(ban).as_response()

    @post("/{user_id:str}/unban", status_code=HTTPStatus.OK)
    async def post_unban(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services], user_id: FromPath[str]
    ) -> Response[bytes]:
        """Let a player's scores count again."""
        require_operator(principal_of(request.scope, services), "players:write")
        return json_reply(await services.banner.lift(read_path_user_id(user_id))).as_response()
