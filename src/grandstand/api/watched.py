"""What a process without `ingest` and `api` answers on its own port: that it lives, and its metrics.

It runs in the event loop of the work, so a loop that stands still does not answer. No key is known here: they are in
PostgreSQL, and a worker whose database is away is to be seen all the same.
"""

from litestar.enums import ScopeType
from litestar.types import HTTPScope, Receive, Scope, Send

from grandstand.api.client_address import client_address, is_within
from grandstand.api.problems import reply_of
from grandstand.api.replies import NO_STORE, Reply, json_reply, send_reply
from grandstand.api.starting import LIVE_PATH
from grandstand.domain.errors import ForbiddenError, GrandstandError, NotFoundError
from grandstand.settings import Settings
from grandstand.telemetry import metrics

_METRICS_PATH = "/metrics"


class WatchedApp:
    """An ASGI app for probes and for Prometheus."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - it is ASGI's
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            return
        try:
            reply = self._answer(scope)
        except GrandstandError as error:
            reply = reply_of(error)
        await send_reply(send, reply)

    def _answer(self, scope: HTTPScope) -> Reply:
        if scope["method"] != "GET":
            raise NotFoundError("not_found", "Only GET is answered here.")
        if scope["path"] == LIVE_PATH:
            return json_reply({"status": "ok"})
        if scope["path"] == _METRICS_PATH and self._settings.metrics_enabled:
            address = client_address(scope, self._settings.trusted_proxies)
            if not is_within(address, self._settings.ops_allow):
                raise ForbiddenError("Metrics are for the networks of GRANDSTAND_OPS_ALLOW.")
            return Reply(200, metrics.render(), metrics.CONTENT_TYPE, NO_STORE)
        raise NotFoundError("not_found", f"This process answers {LIVE_PATH} and {_METRICS_PATH}.")
