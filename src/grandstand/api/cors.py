"""CORS: lets the web pages of listed origins call the API. Off unless a setting names origins.

The rules are the framework's (`CORSConfig`); they are applied here because the hot routes never reach the framework.
Credentials travel in `Authorization`, never in cookies, so no page acts for a visitor without holding a key or token.
"""

from collections.abc import Awaitable

from litestar.config.cors import CORSConfig
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from grandstand.api.replies import Headers

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REQUEST_HEADERS = (
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
)
_ANSWER_HEADERS = ("ETag", "RateLimit", "RateLimit-Policy", "Retry-After")
_MAX_AGE_SECONDS = 600


class Cors:
    """An ASGI app around another."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._config = CORSConfig(
            allow_origins=list(origins),
            allow_methods=list(_METHODS),  # type: ignore[arg-type]
            allow_headers=list(_REQUEST_HEADERS),
            expose_headers=list(_ANSWER_HEADERS),
            max_age=_MAX_AGE_SECONDS,
        )
        self._preflight = _encode(self._config.preflight_headers)
        self._simple = _encode(self._config.simple_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or let the app answer and add what browsers ask for."""
        origin = _header(scope, b"origin") if scope["type"] == ScopeType.HTTP else None
        if origin is None:
            # An edge may keep this answer for pages of any origin, so it has to say that they may read it.
            allows_all = scope["type"] == ScopeType.HTTP and self._config.is_allow_all_origins
            await self._app(scope, receive, self._sender(send, self._simple if allows_all else ()))
            return
        allowed = self._config.is_origin_allowed(origin.decode("latin-1").lower())
        if _is_preflight(scope):
            headers = [*self._preflight, *self._own(origin)] if allowed else []
            await send({"type": "http.response.start", "status": 204, "headers": [*headers, (b"vary", b"Origin")]})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        await self._app(scope, receive, self._sender(send, (*self._simple, *self._own(origin)) if allowed else ()))

    def _own(self, origin: bytes) -> Headers:
        return () if self._config.is_allow_all_origins else ((b"access-control-allow-origin", origin),)

    def _sender(self, send: Send, headers: Headers) -> Send:
        # An edge that keeps a public page must keep it once for each origin, unless all are answered alike.
        if not self._config.is_allow_all_origins:
            headers = (*headers, (b"vary", b"Origin"))
        elif not headers:
            return send

        def send_more(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            return send(message)

        return send_more


def _encode(headers: dict[str, str]) -> Headers:
    dropped = ("access-control-allow-credentials", "vary")
    return tuple(
        (name.lower().encode(), value.encode()) for name, value in headers.items() if name.lower() not in dropped
    )


def _is_preflight(scope: Scope) -> bool:
    is_options = scope["type"] == ScopeType.HTTP and scope["method"] == "OPTIONS"
    return is_options and _header(scope, b"access-control-request-method") is not None


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for found, value in scope["headers"] if found == name), None)
