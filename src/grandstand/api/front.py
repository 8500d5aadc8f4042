"""The outermost layer: rate limits, the hot routes without the framework, counts of all requests, even HTTP.

The framework routes by paths that are still percent-encoded, so that a user id may hold `%2F`; HEAD is answered as GET
without its body; and no fault leaves here as anything but problem+json.
"""

import time
from collections.abc import Awaitable, Mapping

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from litestar.utils import normalize_path

from grandstand.api.at_once import Answer, SingleHeaders
from grandstand.api.bodies import ClientGoneError
from grandstand.api.events import EVENTS_PATH, take_events
from grandstand.api.limits import Readers, admit_request, with_headers
from grandstand.api.live import Opening, open_board, open_tournament, stream_live
from grandstand.api.pages import Pages
from grandstand.api.plain_reads import find_read
from grandstand.api.post_at_once import EventPosts, PostAtOnce
from grandstand.api.problems import RateLimitedError, reply_of, reply_of_unexpected
from grandstand.api.public_reads import is_held
from grandstand.api.read_at_once import ReadAtOnce, WholeReads
from grandstand.api.replies import Headers, Reply, send_reply
from grandstand.api.request_counts import RequestCounts
from grandstand.api.role_gate import closed_paths, is_served
from grandstand.api.services import Services
from grandstand.api.whole_requests import LIMITED_ROUTE, WholeRequests
from grandstand.domain.credentials import ANONYMOUS
from grandstand.domain.errors import GrandstandError, NotFoundError

BOARDS_PATH = "/api/leaderboards/"
TOURNAMENTS_PATH = "/api/tournaments/"
_HELD = (BOARDS_PATH.encode(), TOURNAMENTS_PATH.encode())
"""What the targets of pages begin with."""

_OF_PLAYERS = b"/users/"
"""What no page's path has in it, and most reads that are none; such a page is answered in the usual way."""

RESERVED_PATH = BOARDS_PATH + "user"
LIVE_SUFFIX = "/live"
UNMARKED_SUFFIXES = ("/lookup", "/scores")
"""Of what is posted: the ends of paths that change nothing in PostgreSQL before they are answered."""

_TELLING = frozenset(
    (
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
    )
)
"""Headers that announce more than a head."""

LIVE_ROUTE = "/api/leaderboards/{key}/live"
TOURNAMENT_LIVE_ROUTE = "/api/tournaments/{tournament_id}/live"
UNKNOWN_ROUTE = "unknown"
CLIENT_GONE_STATUS = 499


class Front:
    """An ASGI app around the framework's."""

    def __init__(
        self, framework: ASGIApp, services: Services, pages: Pages, methods_by_route: Mapping[str, str]
    ) -> None:
        self._framework = framework
        self._methods_by_route = methods_by_route
        self._services = services
        self._pages = pages
        self._counts = RequestCounts()
        self._readers = Readers(services)
        self._closed = closed_paths(services.settings)
        self._is_partial = not {"ingest", "api"} <= services.roles
        requests = WholeRequests(self._counts)
        self.post_at_once: PostAtOnce | None = (
            None if self._is_not_here("POST", EVENTS_PATH) else EventPosts(services, requests).take
        )
        """What takes posts of events for whoever has all of one; see `post_at_once.py`."""
        self.read_at_once: ReadAtOnce | None = WholeReads(
            services, pages, requests, lambda path: not self._is_not_here("GET", path)
        ).take
        """What takes reads of ranks and prizes, likewise; see `read_at_once.py`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            await self._framework(scope, receive, send)
            return
        began_at = time.perf_counter()
        try:
            admission = admit_request(scope, self._services)
            headers = admission if isinstance(admission, tuple) else await admission
        except RateLimitedError as error:
            route, reply = LIMITED_ROUTE, reply_of(error)
            status = reply.status
            await send_reply(send, reply)
        else:
            route, status = await self._answer(scope, receive, send, headers)
        self._counts.add(route, status, time.perf_counter() - began_at)

    def answer_at_once(self, target: bytes, headers: SingleHeaders, peer: str | None) -> Answer | None:
        """Answer a GET of a page that is held, for whoever needs not wait to be counted; see `at_once.py`."""
        if peer is None or not target.startswith(_HELD) or _OF_PLAYERS in target or not _TELLING.isdisjoint(headers):
            return None
        began_at = time.monotonic()
        held = self._pages.cache.find(target if b"?" in target else target + b"?")
        if held is None:
            return None
        principal = ANONYMOUS
        if (authorization := headers.get(b"authorization")) is not None:
            # Kept pages are for everybody; but to a player's token something is added.
            found = self._services.authenticator.known_key(authorization)
            if found is None:
                return None
            principal = found
        lines = self._readers.admit_at_once(principal, peer, headers.get(b"x-forwarded-for", b""), began_at)
        if lines is None:
            return None
        asked = headers.get(b"if-none-match", b"")
        # Most clients send the one tag that they were given.
        is_unchanged = bool(asked) and (asked == held.tag or is_held(held.reply, asked))
        whole = held.unchanged if is_unchanged else held.whole
        self._counts.add(held.route, held.reply.status if whole is held.whole else 304, time.monotonic() - began_at)
        return whole, lines

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, headers: Headers) -> tuple[str, int]:
        """Answer a request that is within the limits, of which `headers` tell; return the route and the status."""
        method = scope["method"]
        if self._is_not_here(method, scope["path"]):
            route = UNKNOWN_ROUTE
            status = await _answer(_not_here(), scope, send, headers)
        elif method == "POST" and scope["path"] == EVENTS_PATH:
            route = EVENTS_PATH
            status = await _answer(take_events(scope, receive, self._services), scope, send, headers)
        elif method == "GET" and (found := find_read(scope["raw_path"])) is not None:
            route = found.route
            status = await _answer(found.read(scope, self._services, self._pages), scope, send, headers)
        elif method == "GET" and (key := _live_key(scope, BOARDS_PATH)) is not None and key != "user":
            route = LIVE_ROUTE
            opening = open_board(scope, self._services, key)
            status = await self._stream_live(scope, receive, with_headers(send, headers), opening)
        elif method == "GET" and (key := _live_key(scope, TOURNAMENTS_PATH)) is not None:
            route = TOURNAMENT_LIVE_ROUTE
            opening = open_tournament(scope, self._services, key)
            status = await self._stream_live(scope, receive, with_headers(send, headers), opening)
        else:
            route, status = await self._pass_on(scope, receive, with_headers(send, headers))
        return route, status

    def _is_not_here(self, method: str, path: str) -> bool:
        if "//" in path:
            # The framework's router takes several slashes for one.
            path = normalize_path(path)
        if self._closed and path.startswith(self._closed):
            return True
        return self._is_partial and not is_served(method, path, self._services.roles)

    async def _stream_live(self, scope: HTTPScope, receive: Receive, send: Send, opening: Awaitable[Opening]) -> int:
        has_begun = False

        async def send_noted(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            return await stream_live(scope, receive, send_noted, opening)
        except GrandstandError as error:
            reply = reply_of(error)
        except Exception as error:
            if has_begun:
                raise  # All that is left is to break the connection.
            reply = reply_of_unexpected(error, scope["method"], scope["path"])
        await send_reply(send, reply)
        return reply.status

    async def _pass_on(self, outer: HTTPScope, receive: Receive, send: Send) -> tuple[str, int]:
        """Let the framework answer; return the route and the status."""
        # A copy: the server looks at its own to know that a HEAD has no body.
        scope = outer.copy()
        if b"%" in scope["raw_path"]:
            scope["path"] = scope["raw_path"].decode("latin-1")
        elif scope["path"] == RESERVED_PATH:
            # The router knows this only as the first part of another route; as a key it has its own refusal.
            scope["path"] = BOARDS_PATH + "%75ser"
        is_head, is_options = scope["method"] == "HEAD", scope["method"] == "OPTIONS"
        if is_head:
            scope["method"] = "GET"
        is_write = not is_options and scope["method"] != "GET" and not scope["path"].endswith(UNMARKED_SUFFIXES)
        status = 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if is_write:
                    # Whatever the answer is: a write that failed may have been done all the same.
                    await self._services.reads.note_write()
                if is_options and (allowed := self._methods_by_route.get(scope.get("path_template", ""))):
                    message["headers"] = [(b"allow", allowed.encode())]
            elif is_head and message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        try:
            await self._framework(scope, receive, send_counted)
        except ClientGoneError:
            status = CLIENT_GONE_STATUS
        except Exception as error:
            if status:
                raise  # The answer has begun: all that is left is to break the connection.
            reply = reply_of_unexpected(error, outer["method"], outer["path"])
            await send_reply(send, reply)
            status = reply.status
        return scope.get("path_template") or UNKNOWN_ROUTE, status


async def _not_here() -> Reply:
    raise NotFoundError("not_found", "This process does not serve this path.")


async def _answer(answer: Awaitable[Reply], scope: HTTPScope, send: Send, headers: Headers) -> int:
    try:
        reply = await answer
    except GrandstandError as error:
        reply = reply_of(error)
    except ClientGoneError:
        return CLIENT_GONE_STATUS
    except Exception as error:  # noqa: BLE001 - the outermost layer: a fault of ours is logged and answered, too
        reply = reply_of_unexpected(error, scope["method"], scope["path"])
    await send_reply(send, reply, headers)
    return reply.status


def _live_key(scope: HTTPScope, under: str) -> str | None:
    """Return the percent-encoded key of a path like `/api/leaderboards/{key}/live`."""
    path = scope["raw_path"].decode("latin-1")
    if not path.startswith(under) or not path.endswith(LIVE_SUFFIX):
        return None
    key = path[len(under) : -len(LIVE_SUFFIX)]
    return key if key and "/" not in key else None
