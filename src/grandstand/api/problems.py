"""Every refusal as RFC 9457 `application/problem+json`, whichever layer it comes from."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from grandstand.api.replies import Headers, Reply
from grandstand.domain.errors import GrandstandError, UnavailableError
from grandstand.storage.valkey_errors import SERVER_ERRORS

MEDIA_TYPE = "application/problem+json"
_NO_STORE = (b"cache-control", b"no-store")
_log = structlog.get_logger(__name__)

CODES: dict[str, tuple[int, str]] = {
    "malformed": (400, "The request cannot be read: broken HTTP or JSON, a broken encoding, an empty body."),
    "unauthorized": (401, "No credential, or one that is unknown, expired or revoked."),
    "forbidden": (403, "The credential is good but does not reach this."),
    "not_found": (404, "There is nothing at this path."),
    "leaderboard_not_found": (404, "No leaderboard has this key."),
    "period_not_found": (404, "The leaderboard has no such period."),
    "tournament_not_found": (404, "No tournament has this id."),
    "occurrence_not_found": (404, "The tournament has no such occurrence."),
    "prize_not_found": (404, "No prize has this id."),
    "player_not_found": (404, "Nothing is known of this player."),
    "player_not_banned": (404, "The player is not banned."),
    "webhook_not_found": (404, "No webhook has this id."),
    "key_not_found": (404, "No key has this id."),
    "operator_not_found": (404, "No operator has this name."),
    "delivery_not_found": (404, "No such event was ever on its way to this webhook."),
    "dead_letter_not_found": (404, "No dead letter has this id."),
    "quarantine_not_found": (404, "No quarantined event has this id."),
    "not_ranked": (404, "The player has no entry on the leaderboard."),
    "method_not_allowed": (405, "The path does not take this method; `Allow` names those it takes."),
    "request_timeout": (408, "The body did not arrive in time."),
    "leaderboard_has_entries": (409, "What decides scores cannot change while there are entries."),
    "leaderboard_protected": (409, "The leaderboard `global` always exists."),
    "leaderboard_changed": (
        409,
        "The leaderboard was changed, reset or archived during a replay; run the replay again.",
    ),
    "replay_under_way": (409, "Another replay of this leaderboard is under way."),
    "rollups_need_archive": (409, "Events that rollups count are no longer stored: restore them before a rebuild."),
    "rollups_busy": (409, "The rollups are being counted or rebuilt; try again."),
    "tournament_exists": (409, "There is a tournament with this id already."),
    "tournament_full": (409, "The tournament has all the players that it takes."),
    "tournament_over": (409, "The tournament has ended or was cancelled."),
    "tournament_has_scores": (409, "The start of an occurrence cannot move once somebody has scored in it."),
    "tournament_not_active": (409, "The tournament has not begun, or has ended already."),
    "tournament_settled": (409, "Nothing is left to cancel: the tournament is settled or cancelled."),
    "player_banned": (409, "The player is banned."),
    "already_claimed": (409, "The prize is claimed already, by another request."),
    "prize_voided": (409, "The prize was voided and cannot be claimed."),
    "prize_not_pending": (409, "Only a prize that is neither claimed nor expired nor voided can be voided."),
    "webhook_limit_reached": (409, "There are as many webhooks as there can be; delete one first."),
    "webhook_disabled": (409, "The webhook is disabled because it answered 410 Gone; enable it first."),
    "key_limit_reached": (409, "There are as many keys in force as there can be; revoke some first."),
    "key_not_live": (409, "The key is revoked or has ended."),
    "key_set_by_environment": (409, "A setting holds this key; change or remove it there."),
    "quarantine_decided": (409, "The event was released or rejected already, the other way."),
    "last_admin_key": (409, "The last admin key that lasts cannot be revoked; make another first."),
    "operator_exists": (409, "There is an operator with this name already."),
    "last_operator_admin": (409, "The last operator that is an admin cannot be disabled or given a lesser role."),
    "prize_expired": (410, "The prize was not claimed in time."),
    "batch_too_large": (413, "More events than one request may hold; nothing was taken."),
    "body_too_large": (413, "The decoded body is over the limit; nothing was taken."),
    "unsupported_media_type": (415, "A content type or encoding that this route does not read."),
    "invalid": (422, "Readable, but some values are wrong: `errors` names each."),
    "rate_limited": (429, "More requests or events than a rate limit allows; wait `retry_after` seconds."),
    "head_too_large": (431, "The request line and the headers are over the limit of 64 KiB."),
    "internal_error": (500, "Something went wrong on our side; it is in the log."),
    "unavailable": (503, "An engine is out of reach; try again after `Retry-After` seconds."),
    "report_being_counted": (503, "The answer looks through many events and is being counted; ask again."),
}
"""Every code of a problem with its status and meaning: the list of the docs."""

REJECTION_CODES: dict[str, str] = {
    "invalid_event": "The event is not a JSON object.",
    "invalid_event_type": "`event_type` is missing, begins with `grandstand.`, or is not 1 to 50 characters of "
    "a-z A-Z 0-9 _ . : -",
    "invalid_user_id": "`user_id` is missing or not 1 to 255 characters without control characters.",
    "invalid_payload": "`payload` is no object, or holds what cannot be stored (NUL, lone surrogates, huge numbers).",
    "payload_too_large": "`payload` is over the limit.",
    "payload_too_deep": "`payload` nests too deeply.",
    "invalid_id": "`id` is not a UUID.",
    "invalid_occurred_at": "`occurred_at` is not an RFC 3339 time with its offset.",
    "occurred_at_in_future": "`occurred_at` lies too far in the future.",
    "occurred_at_too_old": "`occurred_at` lies too far in the past.",
    "score_out_of_range": "A score that a leaderboard reads is beyond 2^53 - 1, or has more digits than are kept.",
    "forbidden_user": "A player token may only send events of its own user.",
    "signature_invalid": "`signature` is not that of this session over this event, or the event has no `id` or "
    "`occurred_at` of its own.",
    "signature_missing": "The events of players must be signed here (`GRANDSTAND_SIGNED_EVENTS_REQUIRED`).",
    "line_too_long": "A line of an import is longer than an event can be.",
}
"""Every code of a rejected event with its meaning."""


class Problem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """RFC 9457. `code` is stable; `detail` is for people and may change. Some codes carry more members."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None


class RequestTimeoutError(GrandstandError):
    """The body did not arrive in time. Nothing was taken."""

    status, code, title = 408, "request_timeout", "The request took too long to arrive"


class HeadTooLargeError(GrandstandError):
    """The request line and the headers are over the limit. The connection is closed."""

    status, code, title = 431, "head_too_large", "The head of the request is too large"


class RateLimitedError(GrandstandError):
    """More than a limit allows. Try again after `retry_after` seconds; `headers` tell of the limit."""

    status, code, title = 429, "rate_limited", "Too many requests"

    def __init__(self, detail: str, *, retry_after: int, headers: Headers = ()) -> None:
        super().__init__(detail, retry_after=retry_after)
        self.headers = headers


def reply_of(error: GrandstandError) -> Reply:
    """Return the reply that tells a caller of this refusal."""
    content = {
        "type": f"/schema#{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **error.extra,
    }
    headers = [_NO_STORE]
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers.append((b"www-authenticate", b'Bearer realm="grandstand"'))
    if isinstance(error, RateLimitedError):
        headers += error.headers
    retry_after = error.extra.get("retry_after")
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if error.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        headers.append((b"accept-encoding", b"gzip, zstd"))
    return Reply(error.status, msgspec.json.encode(content), MEDIA_TYPE, tuple(headers))


def reply_of_unexpected(error: Exception, method: str, path: str) -> Reply:
    """Log a fault of ours with its traceback and return a reply that tells nothing of it.

    A Valkey that goes away in the middle of something is no fault of ours: what was under way may be done or not.
    """
    if isinstance(error, SERVER_ERRORS):
        _log.warning("valkey_unreachable", method=method, path=path, error=str(error))
        return reply_of(UnavailableError("An engine cannot be reached right now; try again."))
    _log.error("request failed", method=method, path=path, exc_info=error)
    return reply_of(GrandstandError("The fault is in the server's log; trying again may help."))


def allow(methods: Iterable[str]) -> str:
    """Return the value of `Allow` for the methods of a path's routes: HEAD is answered wherever GET is."""
    names = set(methods)
    return ", ".join(sorted(names | {"HEAD"} if "GET" in names else names))


def reply_of_routing(error: HTTPException) -> Reply:
    """Return the reply for what the router refuses: an unknown path, a method that the path does not take."""
    refusal = GrandstandError(error.detail)
    refusal.status = error.status_code
    refusal.title = HTTPStatus(error.status_code).phrase
    if error.status_code == HTTPStatus.NOT_FOUND:
        refusal.code, refusal.detail = "not_found", "There is nothing at this path; /schema lists what there is."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        refusal.code = "method_not_allowed"
        refusal.detail = "This path does not take this method; the header `Allow` names those it takes."
    else:
        refusal.code = "malformed" if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR else "internal_error"
    reply = reply_of(refusal)
    named = {name.lower(): value for name, value in (error.headers or {}).items()}
    if "allow" in named:
        named["allow"] = allow(named["allow"].split(", "))
    extra = tuple((name.encode(), value.encode()) for name, value in named.items())
    return reply._replace(headers=(*reply.headers, *extra))


def handle_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer for whatever a route raised; Litestar calls it."""
    if isinstance(error, GrandstandError):
        reply = reply_of(error)
    elif isinstance(error, HTTPException) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        reply = reply_of_routing(error)
    else:
        reply = reply_of_unexpected(error, request.method, request.url.path)
    return reply.as_response()
