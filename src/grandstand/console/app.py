"""Puts the console together: routes, who is let in, and what is said when something is refused."""

import time
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from litestar import Litestar, Request, Response
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from grandstand.api.at_once import at_once_of
from grandstand.api.bodies import ClientGoneError
from grandstand.api.client_address import client_address
from grandstand.api.parameters import Query
from grandstand.api.post_at_once import post_at_once_of
from grandstand.api.problems import RateLimitedError, reply_of, reply_of_unexpected
from grandstand.api.read_at_once import read_at_once_of
from grandstand.api.replies import FileReply, Reply, send_reply
from grandstand.api.request_counts import RequestCounts
from grandstand.console import (
    account_pages,
    analytics_pages,
    assets,
    board_pages,
    event_pages,
    held_pages,
    key_pages,
    log_in,
    operation_pages,
    operator_pages,
    overview,
    player_pages,
    prize_pages,
    public_board,
    record_pages,
    replay_pages,
    tournament_pages,
    webhook_pages,
)
from grandstand.console.forms import FORM_BYTES_MAX, LOG_IN_BYTES_MAX, Form, read_form
from grandstand.console.limits import admit_visit
from grandstand.console.live import find_live, stream_board, stream_overview, stream_tournament
from grandstand.console.rendering import page, retry_after
from grandstand.console.routes import Route
from grandstand.console.security import (
    EMBEDDABLE,
    HEADERS,
    is_from_here,
    is_said_to_be_from_here,
    is_token_right,
    read_cookie,
)
from grandstand.console.sending import ANOTHER_SESSION, AWAY, answer_once, offer, pack, typed_into
from grandstand.console.services import ConsoleServices
from grandstand.console.visit import NOBODY, Visit
from grandstand.domain.errors import ForbiddenError, GrandstandError, NotFoundError, UnavailableError
from grandstand.operations.audit import Origin, set_origin

NOTHING_TYPED = Form()


async def _asset(visit: Visit) -> Reply:
    return assets.answer_asset(str(visit.path["digest"]), str(visit.path["name"]))


ROUTES: Sequence[Route] = (
    Route("GET", "/console/static/{digest:str}/{name:str}", None, _asset),
    *log_in.ROUTES,
    *overview.ROUTES,
    *board_pages.ROUTES,
    *replay_pages.ROUTES,
    *tournament_pages.ROUTES,
    *prize_pages.ROUTES,
    *player_pages.ROUTES,
    *event_pages.ROUTES,
    *analytics_pages.ROUTES,
    *held_pages.ROUTES,
    *operation_pages.ROUTES,
    *key_pages.ROUTES,
    *webhook_pages.ROUTES,
    *record_pages.ROUTES,
    *operator_pages.ROUTES,
    *account_pages.ROUTES,
    *public_board.ROUTES,
)
"""Every route of the console; `tests/console/test_access.py` has a row for each."""


class ConsoleApp:
    """An ASGI app for the console's paths; everything else goes to `rest`."""

    def __init__(self, services: ConsoleServices, rest: ASGIApp) -> None:
        self._services = services
        self._rest = rest
        self.answer_at_once = at_once_of(rest)
        """Pages of boards, which are none of the console's."""
        self.post_at_once = post_at_once_of(rest)
        """Posts of events, likewise."""
        self.read_at_once = read_at_once_of(rest)
        """Reads of where a player stands, likewise."""
        self._counts = RequestCounts()
        self._framework = Litestar(
            route_handlers=[self._handler(route) for route in ROUTES],
            exception_handlers={Exception: self._refuse},
            openapi_config=None,
            logging_config=None,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP or not is_console(scope["path"]):
            await self._rest(scope, receive, send)
            return
        began_at = time.perf_counter()
        status = 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_headers_of(scope["path"])]
            await send(message)

        # A copy: the framework writes into it, and the server looks at its own.
        inner = scope.copy()
        try:
            await admit_visit(inner, self._services)
            live = find_live(inner)
            if inner["method"] == "HEAD" and live is None:
                # The server sends no body then: its own scope still says so.
                inner["method"] = "GET"
            if live is None:
                await self._framework(inner, receive, send_counted)
            else:
                await self._stream(live, inner, receive, send_counted)
        except RateLimitedError as error:
            await send_reply(send_counted, self._refuse_many(error, inner))
        except ClientGoneError:
            status = status or 499
        self._counts.add(inner.get("path_template") or "console", status, time.perf_counter() - began_at)

    def _handler(self, route: Route) -> HTTPRouteHandler:
        async def answer(request: Request[Any, Any, Any]) -> Response[Any]:
            return (await self._answer(route, request.scope, request.receive, request.path_params)).as_response()

        return HTTPRouteHandler(
            route.path, http_method=route.method, status_code=HTTPStatus.OK, name=f"{route.method} {route.path}"
        )(answer)

    async def _answer(
        self, route: Route, scope: HTTPScope, receive: Receive, path: dict[str, Any]
    ) -> Reply | FileReply:
        trusted = self._services.api.settings.trusted_proxies
        address = str(client_address(scope, trusted) or "") or None
        visit = Visit(self._services, scope, Query(scope["query_string"]), path, address=address)
        form = await read_form(scope, receive, _bytes_max(route)) if route.method == "POST" else Form()
        if route.method == "POST" and not is_from_here(scope):
            raise ForbiddenError("This form was sent by another site.")
        if route.role is None:
            return await route.answer(Visit(self._services, scope, visit.query, path, form, address=address))
        session = read_cookie(scope)
        try:
            found = None if session is None else await self._services.sessions.find(session)
        except UnavailableError as error:
            # Whose it is cannot be told; the token comes back to whoever has sent it, and is judged the next time.
            return _keep(replace(visit, form=form, form_token=form.raw("form_token")), error)
        if found is None or session is None:
            return log_in.ask(Visit(self._services, scope, visit.query, path, form, address=address))
        visit = Visit(
            self._services, scope, visit.query, path, form, found.operator, found.form_token, session, address
        )
        set_origin(Origin("operator", found.operator.name, address))
        if route.method == "POST" and not is_token_right(form.all("form_token"), found.form_token):
            if not is_said_to_be_from_here(scope):
                return _explain(visit, ForbiddenError("This form is of another session; load its page again."))
            return offer(visit, scope["path"], form, ANOTHER_SESSION, status=403)
        if not found.operator.may(route.role):
            return _explain(visit, ForbiddenError(f"Your role ({found.operator.role}) does not reach this."))
        try:
            return await answer_once(visit, route.answer)
        except UnavailableError as error:
            return _keep(visit, error)
        except GrandstandError as error:
            # Whoever typed into a form for what is gone by now may want the text for something else.
            return _explain(visit, error, typed_into(form))

    async def _stream(self, live: tuple[str, str], scope: HTTPScope, receive: Receive, send: Send) -> None:
        session = read_cookie(scope)
        found = None if session is None else await self._services.sessions.find(session)
        if found is None or session is None:
            await send_reply(send, Reply(401, b"", "text/plain"))
            return
        with self._services.followed.follow(session, found.operator) as is_good:
            try:
                match live[0]:
                    case "overview":
                        await stream_overview(self._services, found.operator, is_good, scope, receive, send)
                    case "leaderboards":
                        await stream_board(self._services.api, live[1], is_good, scope, receive, send)
                    case _:
                        await stream_tournament(self._services.api, live[1], is_good, scope, receive, send)
            except GrandstandError as error:
                await send_reply(send, reply_of(error))

    def _refuse_many(self, error: RateLimitedError, scope: HTTPScope) -> Reply:
        """Answer who came too often: a page to whoever looks at one, the API's answer to scripts."""
        visit = Visit(self._services, scope, Query(b""), operator=NOBODY)
        accepts = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        if visit.is_part or b"text/html" not in accepts:
            return reply_of(error)
        reply = _explain(visit, error)
        return reply._replace(media_type=f"{reply.media_type}; charset=utf-8")

    def _refuse(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        visit = Visit(self._services, request.scope, Query(b""), operator=NOBODY)
        if isinstance(error, ClientGoneError):
            raise error
        if isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            missing: GrandstandError = NotFoundError("not_found", "There is no such page.")
            if error.status_code != HTTPStatus.NOT_FOUND:
                missing = GrandstandError("This page does not take this method.")
                missing.status, missing.title = error.status_code, HTTPStatus(error.status_code).phrase
            return _explain(visit, missing).as_response()
        if not isinstance(error, GrandstandError):
            reply = reply_of_unexpected(error, request.method, request.url.path)
            failure = GrandstandError("The fault is in the server's log; trying again may help.")
            failure.status = reply.status
            return _explain(visit, failure).as_response()
        return _explain(visit, error).as_response()


def is_console(path: str) -> bool:
    """Whether a path is the console's or a public board's page."""
    return path == "/console" or path.startswith(("/console/", "/boards/"))


def _explain(visit: Visit, error: GrandstandError, typed: Form = NOTHING_TYPED) -> Reply:
    """Show a page that says what is wrong, within the frame of the console where somebody is logged in.

    It leads back to the list of such things, and holds what was `typed`.
    """
    is_gone = isinstance(error, NotFoundError) and error.code != "not_found"
    return page(visit, "error.html", status=error.status, error=error, is_gone=is_gone, typed=typed.pairs)._replace(
        headers=((b"cache-control", b"no-store"), *retry_after(error))
    )


def _bytes_max(route: Route) -> int:
    return LOG_IN_BYTES_MAX if route.role is None else FORM_BYTES_MAX


def _keep(visit: Visit, error: UnavailableError) -> Reply:
    """Offer what was typed again once the engines are back; say no more where nothing was."""
    if not pack(visit.form) or not is_said_to_be_from_here(visit.scope):
        return _explain(visit, error)
    reply = offer(visit, visit.scope["path"], visit.form, AWAY, status=error.status)
    return reply._replace(headers=(*reply.headers, *retry_after(error)))


def _headers_of(path: str) -> Any:
    return EMBEDDABLE if path.startswith("/boards/") else HEADERS
