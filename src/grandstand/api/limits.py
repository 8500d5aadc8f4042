"""Rate limits of requests: what counts against which limit, and the headers that tell clients of it.

| who asks | counts |
|---|---|
| a player | against the player's limit and against that of all players at the address |
| a client key, or a credential that is not good | by address |
| nobody in particular | by address |
| a server key | by key |

Admin keys and the two health checks of load balancers count nowhere.
"""

from asyncio import Future
from collections.abc import Awaitable, Sequence
from functools import lru_cache

from litestar.types import HTTPScope, Message, Send

from grandstand.api.access import authorization_of
from grandstand.api.client_address import client_address, counted_as
from grandstand.api.problems import RateLimitedError
from grandstand.api.replies import Headers
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal
from grandstand.domain.errors import UnauthorizedError
from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.telemetry import metrics

EXEMPT = frozenset(("/api/health/live", "/api/health/ready"))
Judgements = Sequence["Verdict | Future[Verdict]"]


def admit_request(scope: HTTPScope, services: Services) -> Headers | Awaitable[Headers]:
    """Count a request; return the headers that tell of its limit, at once where that can be done.

    Raises:
        RateLimitedError: it is over a limit; at once, or from what is awaited.
    """
    limits = services.limiter.limits
    authorization = authorization_of(scope)
    if authorization is None:
        if limits.anonymous is None or scope["path"] in EXEMPT:
            return ()
        return _headers_of((services.limiter.judge(limits.anonymous, _address(scope, services)),))
    if scope["path"] in EXEMPT:
        return ()
    try:
        principal = services.authenticator.principal(authorization)
    except UnauthorizedError:
        # Whoever guesses credentials is a client like any other.
        principal = None
    if principal is not None and principal.is_operator:
        if limits.server is None or principal.kind != "server":
            return ()
        return _headers_of((services.limiter.judge(limits.server, principal.key_id or ""),))
    if principal is None or principal.user_id is None:
        if limits.client is None:
            return ()
        return _headers_of((services.limiter.judge(limits.client, _address(scope, services)),))
    return _admit_player(scope, services, principal.user_id)


async def admit_events(principal: Principal, services: Services, events: int) -> None:
    """Count the events that a player's token sends; those of server keys count nowhere.

    Raises:
        RateLimitedError: they are over the player's limit.
    """
    limit = services.limiter.limits.player_events
    if limit is None or principal.user_id is None:
        return
    judgement = services.limiter.judge(limit, principal.user_id, events)
    _check(judgement if isinstance(judgement, Verdict) else await judgement)


def with_headers(send: Send, headers: Headers) -> Send:
    """Return a `send` that adds headers to the answer."""

    def send_more(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *headers]
        return send(message)

    return send_more


def _admit_player(scope: HTTPScope, services: Services, user_id: str) -> Headers | Awaitable[Headers]:
    limiter = services.limiter
    judgements: list[Verdict | Future[Verdict]] = []
    if limiter.limits.player is not None:
        judgement = limiter.judge(limiter.limits.player, user_id)
        if isinstance(judgement, Verdict):
            # Whoever is blocked does not use up what others at the address have.
            _check(judgement)
        judgements.append(judgement)
    if limiter.limits.player_address is not None:
        judgements.append(limiter.judge(limiter.limits.player_address, _address(scope, services)))
    return _headers_of(judgements) if judgements else ()


def _address(scope: HTTPScope, services: Services) -> str:
    return counted_as(client_address(scope, services.settings.trusted_proxies))


def _headers_of(judgements: Judgements) -> Headers | Awaitable[Headers]:
    verdicts = [judgement for judgement in judgements if isinstance(judgement, Verdict)]
    if len(verdicts) < len(judgements):
        return _await_headers(judgements)
    for verdict in verdicts:
        _check(verdict)
    return _headers(_tightest(verdicts))


async def _await_headers(judgements: Judgements) -> Headers:
    verdicts = [judgement if isinstance(judgement, Verdict) else await judgement for judgement in judgements]
    for verdict in verdicts:
        _check(verdict)
    return _headers(_tightest(verdicts))


def _tightest(verdicts: Sequence[Verdict]) -> Verdict:
    return verdicts[0] if len(verdicts) == 1 else min(verdicts, key=lambda verdict: verdict.remaining)


def _check(verdict: Verdict) -> None:
    if verdict.is_admitted:
        return
    limit = verdict.limit
    metrics.RATE_LIMITED.labels(limit.counter).inc()
    what = "events" if limit.name == "events" else "requests"
    raise RateLimitedError(
        f"More than {limit.quota} {what} in {limit.window_seconds} seconds; try again in {verdict.reset_seconds}.",
        retry_after=verdict.reset_seconds,
        headers=_headers(verdict),
    )


def _headers(verdict: Verdict) -> Headers:
    return (
        _policy(verdict.limit),
        (b"ratelimit", b'"%b";r=%d;t=%d' % (verdict.limit.name.encode(), verdict.remaining, verdict.reset_seconds)),
    )


@lru_cache(maxsize=64)
def _policy(limit: RateLimit) -> tuple[bytes, bytes]:
    return b"ratelimit-policy", f'"{limit.name}";q={limit.quota};w={limit.window_seconds}'.encode()
