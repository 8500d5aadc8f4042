"""Answers while a process waits for its engines at the start: nobody who connects is left hanging."""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from grandstand.api.at_once import Answer, AnswerAtOnce, SingleHeaders, at_once_of
from grandstand.api.post_at_once import PostAtOnce, PostHead, post_at_once_of
from grandstand.api.problems import reply_of
from grandstand.api.read_at_once import ReadAtOnce, ReadHead, read_at_once_of
from grandstand.api.replies import json_reply, send_reply
from grandstand.api.whole_requests import Respond
from grandstand.domain.errors import UnavailableError

LIVE_PATH = "/api/health/live"


class StartingApp:
    """An ASGI app that refuses everything with 503 until `begin`, and hands all on afterwards."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._at_once: AnswerAtOnce | None = None
        self._post_at_once: PostAtOnce | None = None
        self._read_at_once: ReadAtOnce | None = None

    def begin(self, app: ASGIApp) -> None:
        """Let the app answer from now on."""
        self._app, self._at_once = app, at_once_of(app)
        self._post_at_once, self._read_at_once = post_at_once_of(app), read_at_once_of(app)

    def answer_at_once(self, target: bytes, headers: SingleHeaders, peer: str | None) -> Answer | None:
        """Answer as the app does that has begun."""
        return None if self._at_once is None else self._at_once(target, headers, peer)

    def post_at_once(self, head: PostHead, body: bytes, peer: tuple[str, int], respond: Respond) -> bool:
        """Take a post as the app does that has begun."""
        return self._post_at_once is not None and self._post_at_once(head, body, peer, respond)

    def read_at_once(self, target: bytes, head: ReadHead, peer: tuple[str, int], respond: Respond) -> bool:
        """Take a read as the app does that has begun."""
        return self._read_at_once is not None and self._read_at_once(target, head, peer, respond)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == ScopeType.HTTP:
            if scope["path"] == LIVE_PATH:
                await send_reply(send, json_reply({"status": "ok"}))
            else:
                await send_reply(send, reply_of(UnavailableError("The server waits for its engines; try again.")))
