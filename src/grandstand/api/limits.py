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
from collections.abc import Awaitable
from functools import lru_cache, reduce
from math import ceil

from litestar.types import HTTPScope, Message, Send

from grandstand.api.access import Sender, sender_of
from grandstand.api.client_address import counted_address, naming_peers
from grandstand.api.problems import RateLimitedError
from grandstand.api.replies import Headers
from grandstand.api.services import Services
from grandstand.domain.credentials import ANONYMOUS, Principal
from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.operations.limited_subjects import SUBJECTS_MAX, Subject
from grandstand.telemetry import metrics

_READERS_MAX = SUBJECTS_MAX
"""Readers, by what their requests say, whose counts are found at once."""

_FORWARDED_KEPT_MAX = 128
"""Bytes of `X-Forwarded-For` that are remembered for that: more than a few proxies write."""

EXEMPT = frozenset(("/api/health/live", "/api/health/ready"))


def admit_request(scope: HTTPScope, services: Services) -> Headers | Awaitable[Headers]:
    """Count a request; return the headers that tell of its limit, at once where that can be done.

    Raises:
        RateLimitedError: it is over a limit; at once, or from what is awaited.
    """
    return admit_sender(scope, services, sender_of(scope, services))


def admit_sender(scope: HTTPScope, services: Services, sender: Sender) -> Headers | Awaitable[Headers]:
    """Count a request, as `admit_request` does, of a sender who is known already.

    Raises:
        RateLimitedError: as there.
    """
    limits = services.limiter.limits
    # Whoever guesses credentials is a client like any other.
    principal = sender if isinstance(sender, Principal) else None
    if principal is not None and principal.kind == "anonymous":
        limit = limits.anonymous
    elif principal is not None and principal.is_operator:
        limit = limits.server if principal.kind == "server" else None
    elif principal is not None and principal.user_id is not None:
        if scope["path"] in EXEMPT:
            return ()
        return _admit_player(scope, services, principal.user_id)
    else:
        limit = limits.client
    if limit is None or scope["path"] in EXEMPT:
        return ()
    if limit is limits.server and principal is not None:
        name = principal.key_id or ""
    else:
        name = counted_address(scope, services.settings.trusted_proxies)
    judgement = services.limiter.judge(limit, name)
    return _headers(judgement) if type(judgement) is Verdict else _await_headers(judgement)


class Readers:
    """Counts requests of whoever is no player where that needs no waiting."""

    def __init__(self, services: Services) -> None:
        self._limiter = services.limiter
        self._limits = limits = services.limiter.limits
        self._nobodys = limits.anonymous
        self._lines = b"" if limits.anonymous is None else _lines(limits.anonymous)
        self._name = naming_peers(services.settings.trusted_proxies)
        self._known: dict[tuple[str, bytes], Subject] = {}
        self._times_forgotten = 0

    def admit_at_once(self, principal: Principal, peer: str, forwarded: bytes, now: float) -> bytes | None:
        """Count a request that came `now` (monotonic); return the lines of its headers.

        None, and it is not counted, where `admit_request` has to decide.
        """
        if principal is not ANONYMOUS:
            return self._admit_key(principal, peer, forwarded, now)
        # The hot path of every page: one look-up leads from what a request says to what is counted, and one number
        # says whether it may go on.
        limit = self._nobodys
        if limit is None:
            return b""
        subject = self._known.get((peer, forwarded))
        if subject is None or subject.free <= 0 or now >= subject.ends_at:
            return self._admit_nobody(limit, peer, forwarded, now)
        subject.free = left = subject.free - 1
        return self._lines % (left + subject.behind_free, ceil(subject.ends_at - now))

    def _admit_key(self, principal: Principal, peer: str, forwarded: bytes, now: float) -> bytes | None:
        if principal.kind == "client":
            limit, name = self._limits.client, self._name(peer, forwarded)
        else:
            limit, name = self._limits.server if principal.kind == "server" else None, principal.key_id or ""
        if limit is None:
            return b""
        subject = self._limiter.find(limit, name, now)
        left = self._limiter.take_at_once(subject, 1, now)
        return None if left is None else _lines(limit) % (left, ceil(subject.ends_at - now))

    def _admit_nobody(self, limit: RateLimit, peer: str, forwarded: bytes, now: float) -> bytes | None:
        limiter = self._limiter
        if self._times_forgotten != limiter.times_forgotten:
            self._times_forgotten = limiter.times_forgotten
            self._known.clear()
        subject = self._known.get((peer, forwarded)) or self._meet(limit, peer, forwarded, now)
        left = limiter.take_at_once(subject, 1, now)
        return None if left is None else self._lines % (left, ceil(subject.ends_at - now))

    def _meet(self, limit: RateLimit, peer: str, forwarded: bytes, now: float) -> Subject:
        subject = self._limiter.find(limit, self._name(peer, forwarded), now)
        if len(forwarded) <= _FORWARDED_KEPT_MAX:
            if len(self._known) >= _READERS_MAX:
                self._known.clear()
            self._known[peer, forwarded] = subject
        return subject


def admit_events_at_once(principal: Principal, services: Services, events: int) -> bool:
    """Count the events that a player's token sends if that needs no waiting; else `admit_events` has to decide."""
    limit = services.limiter.limits.player_events
    if limit is None or principal.user_id is None:
        return True
    return services.limiter.admit_at_once(limit, principal.user_id, events) is not None


async def admit_events(principal: Principal, services: Services, events: int) -> None:
    """Count the events that a player's token sends; those of server keys count nowhere.

    Raises:
        RateLimitedError: they are over the player's limit.
    """
    limit = services.limiter.limits.player_events
    if limit is None or principal.user_id is None:
        return
    judgement = services.limiter.judge(limit, principal.user_id, events)
    verdict = judgement if isinstance(judgement, Verdict) else await judgement
    if not verdict.is_admitted:
        raise _refusal(verdict)


def with_headers(send: Send, headers: Headers) -> Send:
    """Return a `send` that adds headers to the answer."""
    if not headers:
        return send

    def send_more(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message["headers"] = (*message["headers"], *headers)
        return send(message)

    return send_more


def _admit_player(scope: HTTPScope, services: Services, user_id: str) -> Headers | Awaitable[Headers]:
    limiter = services.limiter
    own, shared = limiter.limits.player, limiter.limits.player_address
    first = None if own is None else limiter.judge(own, user_id)
    if isinstance(first, Verdict) and not first.is_admitted:
        # Whoever is blocked does not use up what others at the address have.
        raise _refusal(first)
    second = None
    if shared is not None:
        second = limiter.judge(shared, counted_address(scope, services.settings.trusted_proxies))
    if isinstance(first, Future) or isinstance(second, Future):
        return _await_headers(*(judgement for judgement in (first, second) if judgement is not None))
    if first is None or second is None:
        verdict = first or second
        return () if verdict is None else _headers(verdict)
    return _headers(_tighter(first, second))


async def _await_headers(*judgements: "Verdict | Future[Verdict]") -> Headers:
    verdicts = [judgement if isinstance(judgement, Verdict) else await judgement for judgement in judgements]
    return _headers(reduce(_tighter, verdicts))


def _tighter(one: Verdict, other: Verdict) -> Verdict:
    """Return the verdict that refuses, or that leaves less."""
    if one.is_admitted != other.is_admitted:
        return other if one.is_admitted else one
    return one if one.remaining <= other.remaining else other


def _headers(verdict: Verdict) -> Headers:
    """Return the headers of an admitted request.

    Raises:
        RateLimitedError: it is not admitted.
    """
    if not verdict.is_admitted:
        raise _refusal(verdict)
    return _told(verdict)


def _told(verdict: Verdict) -> Headers:
    policy, form = _forms(verdict.limit)
    return policy, (b"ratelimit", form % (verdict.remaining, verdict.reset_seconds))


def _refusal(verdict: Verdict) -> RateLimitedError:
    limit = verdict.limit
    metrics.RATE_LIMITED.labels(limit.counter).inc()
    what = "events" if limit.name == "events" else "requests"
    return RateLimitedError(
        f"More than {limit.quota} {what} in {limit.window_seconds} seconds; try again in {verdict.reset_seconds}.",
        retry_after=verdict.reset_seconds,
        headers=_told(verdict),
    )


@lru_cache(maxsize=64)
def _forms(limit: RateLimit) -> tuple[tuple[bytes, bytes], bytes]:
    """Return the header that is always the same, and the other with gaps for what is left and when all is back."""
    policy = b"ratelimit-policy", f'"{limit.name}";q={limit.quota};w={limit.window_seconds}'.encode()
    return policy, f'"{limit.name}";r=%d;t=%d'.encode()


@lru_cache(maxsize=64)
def _lines(limit: RateLimit) -> bytes:
    """Return the same two headers as they are sent."""
    policy, form = _forms(limit)
    return b"%b: %b\r\nratelimit: %b\r\n" % (*policy, form)
