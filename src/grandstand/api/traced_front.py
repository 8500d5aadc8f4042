"""The outermost layer while traces are on: each request that is within the limits has a span."""

from typing import Any

from litestar.types import HTTPScope, Receive, Send

from grandstand.api.at_once import Answer, SingleHeaders
from grandstand.api.front import LIVE_SUFFIX, Front
from grandstand.api.replies import Headers
from grandstand.telemetry import traces

_TRACEPARENT = b"traceparent"
_LENGTH_MAX = 512
"""Beyond this it is none, whatever future versions of the format add to it."""


class TracedFront(Front):
    """As `Front`. A span would have to wait for the end of a live board for hours, so these have none."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.post_at_once = self.read_at_once = None

    def answer_at_once(self, target: bytes, headers: SingleHeaders, peer: str | None) -> Answer | None:  # noqa: ARG002
        """Answer nothing: every request is to have its span."""
        return None

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send, headers: Headers) -> tuple[str, int]:
        if scope["path"].endswith(LIVE_SUFFIX):
            return await super()._answer(scope, receive, send, headers)
        with traces.request(scope["method"], _traceparent(scope)) as span:
            route, status = await super()._answer(scope, receive, send, headers)
            span.answered(route, status)
        return route, status


def _traceparent(scope: HTTPScope) -> str | None:
    """Return the header of the request; None where it has none, or several, which the standard takes for none."""
    found = [value for name, value in scope["headers"] if name == _TRACEPARENT]
    return found[0].decode("latin-1") if len(found) == 1 and len(found[0]) <= _LENGTH_MAX else None
