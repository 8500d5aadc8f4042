"""`/api/tournaments…`: definitions, entry, and the ranks of each occurrence."""

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import (
    principal_of,
    require_operator,
    require_reader,
    require_self,
    require_sender,
    shown_as_defined,
)
from grandstand.api.bodies import read_body
from grandstand.api.leaderboards import read_lookup
from grandstand.api.live import HEADERS, MEDIA_TYPE, read_tournament_topic
from grandstand.api.page_sources import TOURNAMENT_PAGES
from grandstand.api.pages import Pages
from grandstand.api.parameters import Query, check_user_id, read_tournament_id
from grandstand.api.place_reads import read_reply, tournament_nearby, tournament_user
from grandstand.api.public_reads import earliest
from grandstand.api.replies import PRIVATE, Reply, json_reply
from grandstand.api.services import Services
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.json_bodies import decode_body
from grandstand.operations.tournament_views import TournamentList

JOIN_BYTES_MAX = 16_384

AnyRequest = Request[Any, Any, Any]


class JoinRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Who joins; a player token may leave it out."""

    user_id: str | None = None


class TournamentRoutes(Controller):
    """The routes of tournaments."""

    path = "/api/tournaments"

    @post("/", status_code=HTTPStatus.CREATED)
    async def post_tournament(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Create a tournament."""
        require_operator(principal_of(request.scope, services), "tournaments:write")
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        return json_reply(await services.tournaments.create(body), HTTPStatus.CREATED).as_response()

    @get("/")
    async def get_list(
        self, request: AnyRequest, services: NamedDependency[Services], pages: NamedDependency[Pages]
    ) -> Response[bytes]:
        """List the tournaments that the caller may see."""
        principal = principal_of(request.scope, services)
        query = Query(request.scope["query_string"])
        found: TournamentList = await services.tournament_list.list(
            query.text("status"),
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
            public_only=not principal.may("tournaments:read"),
        )
        shown = shown_as_defined(principal, "public")
        changes_at = earliest(*(moment for each in found.tournaments for moment in (each.starts_at, each.ends_at)))
        return read_reply(request.scope, pages, found, shown, changes_at=changes_at).as_response()

    @get("/{tournament_id:str}")
    async def get_tournament(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        tournament_id: FromPath[str],
    ) -> Response[bytes]:
        """Read a tournament."""
        principal = principal_of(request.scope, services)
        occurrence = Query(request.scope["query_string"]).occurrence()
        view = await services.tournament_list.get(
            read_tournament_id(tournament_id), occurrence, is_fresh=principal.is_operator
        )
        require_reader(principal, "tournaments:read", view.visibility)
        shown = shown_as_defined(principal, view.visibility)
        changes_at = earliest(view.starts_at, view.ends_at)
        return read_reply(request.scope, pages, view, shown, changes_at=changes_at).as_response()

    @patch("/{tournament_id:str}")
    async def patch_tournament(
        self, request: AnyRequest, services: NamedDependency[Services], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """Change a tournament before its end."""
        require_operator(principal_of(request.scope, services), "tournaments:write")
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        return json_reply(await services.tournaments.change(read_tournament_id(tournament_id), body)).as_response()

    @post("/{tournament_id:str}/join", status_code=HTTPStatus.OK)
    async def post_join(
        self, request: AnyRequest, services: NamedDependency[Services], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """Enter a player."""
        principal = principal_of(request.scope, services)
        require_sender(principal, "tournaments:write")
        named = _read_join(await read_body(request.scope, request.receive, JOIN_BYTES_MAX))
        user_id = principal.user_id if named is None else named
        if user_id is None:
            raise InvalidError([FieldError("user_id", "is needed with a server key")])
        require_self(principal, user_id, "tournaments:write")
        occurrence = Query(request.scope["query_string"]).occurrence()
        entered = await services.tournament_entry.join(read_tournament_id(tournament_id), user_id, occurrence)
        return json_reply(entered).as_response()

    @post("/{tournament_id:str}/cancel", status_code=HTTPStatus.OK)
    async def post_cancel(
        self, request: AnyRequest, services: NamedDependency[Services], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """Cancel what is not settled."""
        require_operator(principal_of(request.scope, services), "tournaments:write")
        return json_reply(await services.tournaments.cancel(read_tournament_id(tournament_id))).as_response()

    @post("/{tournament_id:str}/end", status_code=HTTPStatus.OK)
    async def post_end(
        self, request: AnyRequest, services: NamedDependency[Services], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """End the running occurrence now."""
        require_operator(principal_of(request.scope, services), "tournaments:write")
        return json_reply(await services.tournaments.end(read_tournament_id(tournament_id))).as_response()

    @get("/{tournament_id:str}/leaderboard")
    async def get_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """Read a page of ranks; the front answers this path sooner, by the same function."""
        return (await pages.answer(request.scope, TOURNAMENT_PAGES, tournament_id)).as_response()

    @get("/{tournament_id:str}/users/{user_id:str}")
    async def get_user(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        tournament_id: FromPath[str],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read one player's rank and attempts; the front answers this path sooner, by the same function."""
        return (await tournament_user(request.scope, services, pages, tournament_id, user_id)).as_response()

    @get("/{tournament_id:str}/users/{user_id:str}/nearby")
    async def get_nearby(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        tournament_id: FromPath[str],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read the ranks around a player; the front answers this path sooner, by the same function."""
        return (await tournament_nearby(request.scope, services, pages, tournament_id, user_id)).as_response()

    @post("/{tournament_id:str}/lookup", status_code=HTTPStatus.OK)
    async def post_lookup(
        self, request: AnyRequest, services: NamedDependency[Services], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """Read the ranks of some players."""
        principal = principal_of(request.scope, services)
        tournament = read_tournament_id(tournament_id)
        require_reader(principal, "tournaments:read", await services.tournament_ranks.visibility(tournament))
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        occurrence = Query(request.scope["query_string"]).occurrence()
        found = await services.tournament_ranks.lookup(tournament, read_lookup(body), occurrence=occurrence)
        return json_reply(found, headers=PRIVATE).as_response()

    @get("/{tournament_id:str}/live")
    async def get_live(
        self, request: AnyRequest, services: NamedDependency[Services], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """Say what listening to a tournament would answer: HEAD. The front answers GET sooner, with the stream."""
        await read_tournament_topic(request.scope, services, tournament_id)
        return Reply(HTTPStatus.OK, b"", MEDIA_TYPE, HEADERS).as_response()

    @get("/{tournament_id:str}/settlement-preview")
    async def get_preview(
        self, request: AnyRequest, services: NamedDependency[Services], tournament_id: FromPath[str]
    ) -> Response[bytes]:
        """Say who would get what if it were settled now."""
        require_operator(principal_of(request.scope, services), "tournaments:read")
        occurrence = Query(request.scope["query_string"]).occurrence()
        preview = await services.tournament_ranks.preview(read_tournament_id(tournament_id), occurrence=occurrence)
        return json_reply(preview).as_response()


def _read_join(body: bytes) -> str | None:
    if not body:
        return None
    user_id = decode_body(body, JoinRequest).user_id
    return None if user_id is None else check_user_id(user_id)
