"""`/api/leaderboards…`: definitions and ranks."""

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import principal_of, require_operator, require_reader, shown_as_defined
from grandstand.api.bodies import read_body
from grandstand.api.live import HEADERS, MEDIA_TYPE, read_topic
from grandstand.api.page_sources import BOARD_PAGES
from grandstand.api.pages import Pages
from grandstand.api.parameters import Query, check_user_id, read_key, read_new_key, read_path_user_id
from grandstand.api.place_reads import board_nearby, board_user, read_reply
from grandstand.api.replies import PRIVATE, Reply, json_reply
from grandstand.api.services import Services
from grandstand.domain.json_bodies import decode_body
from grandstand.domain.leaderboards import GLOBAL_KEY, Visibility
from grandstand.operations.define_leaderboard import LeaderboardView
from grandstand.operations.list_leaderboards import LIST_MAX

AnyRequest = Request[Any, Any, Any]


class LeaderboardList(msgspec.Struct):
    """Definitions, in the order of their keys."""

    leaderboards: list[LeaderboardView]
    next_cursor: str | None


class LookupRequest(msgspec.Struct):
    """The players to look up, 200 at most."""

    user_ids: list[str]


class LeaderboardRoutes(Controller):
    """The routes of leaderboards."""

    path = "/api/leaderboards"

    @get("/")
    async def get_list(
        self, request: AnyRequest, services: NamedDependency[Services], pages: NamedDependency[Pages]
    ) -> Response[bytes]:
        """List the definitions that the caller may see."""
        principal = principal_of(request.scope, services)
        query = Query(request.scope["query_string"])
        found = await services.lister.list(
            public_only=not principal.may("leaderboards:read"),
            limit=query.count("limit", LIST_MAX),
            cursor=query.text("cursor"),
        )
        return read_reply(request.scope, pages, found, shown_as_defined(principal, "public")).as_response()

    @put("/{key:str}")
    async def put_definition(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """Create or change a leaderboard."""
        require_operator(principal_of(request.scope, services), "leaderboards:write")
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        view, is_new = await services.definer.put(read_new_key(key), body)
        return json_reply(view, HTTPStatus.CREATED if is_new else HTTPStatus.OK).as_response()

    @delete("/{key:str}")
    async def delete_leaderboard(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[None]:
        """Delete a leaderboard with its entries."""
        require_operator(principal_of(request.scope, services), "leaderboards:write")
        await services.definer.delete(read_key(key))
        return Response(None, headers={"cache-control": "no-store"})

    @get("/{key:str}/definition")
    async def get_definition(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        key: FromPath[str],
    ) -> Response[bytes]:
        """Read a definition."""
        principal = principal_of(request.scope, services)
        view = await services.definer.get(read_key(key))
        visibility: Visibility = "public" if view.visibility == "public" else "private"
        require_reader(principal, "leaderboards:read", visibility)
        return read_reply(request.scope, pages, view, shown_as_defined(principal, visibility)).as_response()

    @get("/{key:str}")
    async def get_page(self, request: AnyRequest, pages: NamedDependency[Pages], key: FromPath[str]) -> Response[bytes]:
        """Read a page of ranks; the front answers this path sooner, by the same function."""
        return (await pages.answer(request.scope, BOARD_PAGES, key)).as_response()

    @get("/{key:str}/users/{user_id:str}")
    async def get_user(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        key: FromPath[str],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read one player's rank; the front answers this path sooner, by the same function."""
        return (await board_user(request.scope, services, pages, key, user_id)).as_response()

    @get("/user/{user_id:str}")
    async def get_global_user(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read one player's rank on `global`; kept for old clients."""
        return (await board_user(request.scope, services, pages, GLOBAL_KEY, user_id)).as_response()

    @get("/{key:str}/users/{user_id:str}/nearby")
    async def get_nearby(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        key: FromPath[str],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read the ranks around a player; the front answers this path sooner, by the same function."""
        return (await board_nearby(request.scope, services, pages, key, user_id)).as_response()

    @post("/{key:str}/lookup", status_code=HTTPStatus.OK)
    async def post_lookup(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """Read the ranks of some players."""
        principal = principal_of(request.scope, services)
        board = read_key(key)
        require_reader(principal, "leaderboards:read", await services.reader.visibility(board))
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        part = Query(request.scope["query_string"]).part()
        found = await services.reader.lookup(board, read_lookup(body), part=part)
        return json_reply(found, headers=PRIVATE).as_response()

    @get("/{key:str}/periods")
    async def get_periods(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        key: FromPath[str],
    ) -> Response[bytes]:
        """List the periods that have ended."""
        board = read_key(key)
        principal, visibility = principal_of(request.scope, services), await services.reader.visibility(board)
        require_reader(principal, "leaderboards:read", visibility)
        query = Query(request.scope["query_string"])
        found = await services.reader.periods(board, limit=query.count("limit", 100), cursor=query.text("cursor"))
        changes_at = await services.reader.next_end(board)
        shown = shown_as_defined(principal, visibility)
        return read_reply(request.scope, pages, found, shown, changes_at=changes_at).as_response()

    @get("/{key:str}/live")
    async def get_live(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """Say what listening to a board would answer: HEAD. The front answers GET sooner, with the stream."""
        await read_topic(request.scope, services, key)
        return Reply(HTTPStatus.OK, b"", MEDIA_TYPE, HEADERS).as_response()

    @post("/{key:str}/reset", status_code=HTTPStatus.OK)
    async def post_reset(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """End the running period and begin the next."""
        require_operator(principal_of(request.scope, services), "leaderboards:write")
        return json_reply(await services.definer.reset(read_key(key))).as_response()

    @post("/{key:str}/scores", status_code=HTTPStatus.ACCEPTED)
    async def post_score(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """Write a score directly."""
        require_operator(principal_of(request.scope, services), "leaderboards:write")
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        written = await services.scores.write(read_key(key), body)
        return json_reply(written, HTTPStatus.ACCEPTED).as_response()

    @delete("/{key:str}/users/{user_id:str}")
    async def delete_user(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str], user_id: FromPath[str]
    ) -> Response[None]:
        """Take a player off the board."""
        require_operator(principal_of(request.scope, services), "leaderboards:write")
        await services.definer.remove_user(read_key(key), read_path_user_id(user_id))
        return Response(None, headers={"cache-control": "no-store"})


def read_lookup(body: bytes) -> list[str]:
    """Return the players that a look-up asks for.

    Raises:
        MalformedError: the body is not JSON.
        InvalidError: a wrong value.
    """
    user_ids = decode_body(body, LookupRequest, whole="user_ids").user_ids
    for index, user_id in enumerate(user_ids[:201]):
        check_user_id(user_id, f"user_ids[{index}]")
    return user_ids
