"""The client: asks one thing over HTTP and says what came back, or that nothing did."""

import time
from types import TracebackType
from typing import Any, NamedTuple

import httpx

TIMEOUT_SECONDS = 15.0
CONNECTIONS_MAX = 40
_IDLE_SECONDS = 5.0
"""Far below the server's, so that it is never the server who closes a connection that is about to be used."""


class Reply(NamedTuple):
    """What came back. A `status` of None: no reply (`error` says how); times are of the monotonic clock."""

    status: int | None
    body: Any
    sent_at: float
    ended_at: float
    error: str = ""

    @property
    def code(self) -> str:
        """The stable code of a problem, or ''."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else ""


class Client:
    """A game server's client with the server key. Use it as an async context manager."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(
                max_connections=CONNECTIONS_MAX,
                max_keepalive_connections=CONNECTIONS_MAX,
                keepalive_expiry=_IDLE_SECONDS,
            ),
        )

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, **query: Any
    ) -> Reply:
        """Send one request and wait for its reply; never raises for a reply that does not come."""
        sent_at = time.monotonic()
        try:
            answer = await self._http.request(method, path, json=body, headers=headers, params=query or None)
            content = answer.json() if answer.content else None
        except (httpx.HTTPError, ValueError) as error:
            return Reply(None, None, sent_at, time.monotonic(), f"{type(error).__name__}: {error}")
        return Reply(answer.status_code, content, sent_at, time.monotonic())
