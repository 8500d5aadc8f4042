"""`/api/leaderboards…`: definitions and ranks."""

from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import msgspec
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import principal_of, require_operator, require_reader
from grandstand.api.bodies import read_body
from grandstand.api.pages import Pages, check_period, not_modified
from grandstand.api.parameters import Query, check_user_id, read_key, read_path_user_id
from grandstand.api.replies import JSON, PRIVATE, Reply, encode, json_reply
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal
from grandstand.domain.errors import FieldError, InvalidError, MalformedError
from grandstand.domain.leaderboards import GLOBAL_KEY, Visibility
from grandstand.operations.define_leaderboard import LeaderboardView

AnyRequest = Request[Any, Any, Any]


class LeaderboardList(msgspec.Struct):
    """Definitions, in the order of their keys."""

    leaderboards: list[LeaderboardView]


class LookupRequest(msgspec.Struct):
    """The players to look up, 200 at most."""

    user_ids: list[str]


_decode_lookup = msgspec.json.Decoder(LookupRequest).decode


class LeaderboardRoutes(Controller):
    """The routes of leaderboards."""

    path = "/api/leaderboards"

    @get("/")
    async def get_list(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """List the definitions that the caller may see."""
        principal = principal_of(request.scope, services)
        shown = [view for view in await services.definer.list() if principal.is_operator or view.visibility == "public"]
        return json_reply(LeaderboardList(shown)).as_response()

    @put("/{key:str}")
    async def put_definition(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """Create or change a leaderboard."""
        require_operator(principal_of(request.scope, services))
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        view, is_new = await services.definer.put(unquote(key, errors="replace"), body)
        return json_reply(view, HTTPStatus.CREATED if is_new else HTTPStatus.OK).as_response()

    @delete("/{key:str}")
    async def delete_leaderboard(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[None]:
        """Delete a leaderboard with its entries."""
        require_operator(principal_of(request.scope, services))
        await services.definer.delete(read_key(key))
        return Response(None, headers={"cache-control": "no-store"})

    @get("/{key:str}/definition")
    async def get_definition(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """Read a definition."""
        principal = principal_of(request.scope, services)
        view = await services.definer.get(read_key(key))
        require_reader(principal, "public" if view.visibility == "public" else "private")
        return json_reply(view).as_response()

    @get("/{key:str}")
    async def get_page(self, request: AnyRequest, pages: NamedDependency[Pages], key: FromPath[str]) -> Response[bytes]:
        """Read a page of ranks; the front answers this path sooner, by the same function."""
        return (await pages.answer(request.scope, key)).as_response()

    @get("/{key:str}/users/{user_id:str}")
    async def get_user(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        key: FromPath[str],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read one player's rank."""
        return (await _user_rank(request, services, pages, read_key(key), user_id)).as_response()

    @get("/user/{user_id:str}")
    async def get_global_user(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read one player's rank on `global`; kept for old clients."""
        return (await _user_rank(request, services, pages, GLOBAL_KEY, user_id)).as_response()

    @get("/{key:str}/users/{user_id:str}/nearby")
    async def get_nearby(
        self,
        request: AnyRequest,
        services: NamedDependency[Services],
        pages: NamedDependency[Pages],
        key: FromPath[str],
        user_id: FromPath[str],
    ) -> Response[bytes]:
        """Read the ranks around a player."""
        principal = principal_of(request.scope, services)
        board = read_key(key)
        visibility = await services.reader.visibility(board)
        require_reader(principal, visibility)
        query = Query(request.scope["query_string"])
        check_period(query)
        above, below = query.integer("above"), query.integer("below")
        page = await services.reader.nearby(
            board,
            read_path_user_id(user_id),
            above=5 if above is None else above,
            below=5 if below is None else below,
        )
        headers = pages.headers(page, _shown_to(principal, visibility))
        return not_modified(Reply(HTTPStatus.OK, encode(page), JSON, headers), request.scope).as_response()

    @post("/{key:str}/lookup", status_code=HTTPStatus.OK)
    async def post_lookup(
        self, request: AnyRequest, services: NamedDependency[Services], key: FromPath[str]
    ) -> Response[bytes]:
        """Read the ranks of some players."""
        principal = principal_of(request.scope, services)
        board = read_key(key)
        require_reader(principal, await services.reader.visibility(board))
        body = await read_body(request.scope, request.receive, services.settings.body_max_bytes)
        found = await services.reader.lookup(board, _read_lookup(body))
        return json_reply(found, headers=PRIVATE).as_response()


async def _user_rank(request: AnyRequest, services: Services, pages: Pages, board: str, encoded_user_id: str) -> Reply:
    principal = principal_of(request.scope, services)
    visibility = await services.reader.visibility(board)
    user_id = read_path_user_id(encoded_user_id)
    require_reader(principal, visibility, user_id)
    check_period(Query(request.scope["query_string"]))
    rank = await services.reader.user(board, user_id)
    headers = pages.headers(rank, _shown_to(principal, visibility))
    return not_modified(Reply(HTTPStatus.OK, encode(rank), JSON, headers), request.scope)


def _shown_to(principal: Principal, visibility: Visibility) -> Visibility:
    return "private" if principal.kind == "player" else visibility


def _read_lookup(body: bytes) -> list[str]:
    try:
        user_ids = _decode_lookup(body).user_ids
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$")
        raise InvalidError([FieldError(place.rstrip("`").lstrip(".") or "user_ids", text)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise MalformedError("The body is not valid JSON.") from None
    for index, user_id in enumerate(user_ids[:201]):
        check_user_id(user_id, f"user_ids[{index}]")
    return user_ids
