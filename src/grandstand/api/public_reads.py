"""Public reads as replies: for how long browsers and edges may keep them, their tags, and 304 for what a client has.

An answer may be kept when everyone gets the same one. What it says of a moment that is known (the end of a period, the
begin of a tournament) holds until then, so it is never to be kept beyond it.
"""

import hashlib
import re
from datetime import datetime

import msgspec
from litestar.types import HTTPScope

from grandstand import clock
from grandstand.api.replies import JSON, PRIVATE, Reply, encode
from grandstand.domain.leaderboards import Visibility
from grandstand.settings import Settings

_AS_OF = b'"as_of":"'
_TAG = re.compile(rb'(?:W/)?("[^"]*")')
# A player token adds that player's own entry, so an edge must keep those answers apart from this one.
_VARY = (b"vary", b"Authorization")


class PublicReads:
    """Makes the replies of reads for one process."""

    def __init__(self, settings: Settings) -> None:
        self._ages_seconds = settings.public_max_age_seconds, settings.edge_max_age_seconds, settings.edge_stale_seconds
        self._most_seconds = sum(self._ages_seconds)
        self._usual = _cache_control(*self._ages_seconds)
        age_seconds = settings.archive_max_age_seconds
        self._archived = _cache_control(age_seconds, age_seconds, self._ages_seconds[2])

    def reply(
        self,
        content: msgspec.Struct,
        visibility: Visibility,
        *,
        changes_at: datetime | None = None,
        is_archived: bool = False,
    ) -> Reply:
        """Return a read as a reply, to be kept by whoever may.

        `changes_at` is when the answer will be another one for sure (unless it has a `period_ends_at`), `is_archived`
        whether it is of a period that has been archived.
        """
        body = encode(content)
        if visibility != "public":
            return Reply(200, body, JSON, PRIVATE)
        control = self.control(getattr(content, "period_ends_at", None) or changes_at, is_archived=is_archived)
        return Reply(200, body, JSON, ((b"cache-control", control), (b"etag", _entity_tag(content, body)), _VARY))

    def control(self, changes_at: datetime | None, *, is_archived: bool) -> bytes:
        """Return the `Cache-Control` of a public answer; see `reply`."""
        return self._archived if is_archived else self._until(changes_at)

    def _until(self, moment: datetime | None) -> bytes:
        """Return for how long an answer may be kept: by an edge and then by a browser, and never beyond a moment."""
        if moment is None:
            return self._usual
        left_seconds = (moment - clock.now()).total_seconds()
        if left_seconds < 0 or left_seconds >= self._most_seconds:
            return self._usual
        share = left_seconds / self._most_seconds
        return _cache_control(*(int(age_seconds * share) for age_seconds in self._ages_seconds))


def not_modified(reply: Reply, scope: HTTPScope) -> Reply:
    """Return 304 in place of a reply that the client has already: `If-None-Match`, compared weakly (RFC 9110)."""
    asked = [value for name, value in scope["headers"] if name == b"if-none-match"]
    if not asked:
        return reply
    return without_body(reply) if is_held(reply, b",".join(asked)) else reply


def is_held(reply: Reply, asked: bytes) -> bool:
    """Tell whether a client that names these tags in `If-None-Match` has a reply already."""
    tag = tag_of(reply)
    return tag is not None and _is_among(tag, asked)


def tag_of(reply: Reply) -> bytes | None:
    """Return the value of a reply's `ETag`."""
    return next((value for name, value in reply.headers if name == b"etag"), None)


def without_body(reply: Reply) -> Reply:
    """Return the 304 for a client that has a reply already."""
    return Reply(304, b"", reply.media_type, reply.headers)


def earliest(*moments: datetime | None) -> datetime | None:
    """Return the first of some moments that is still to come, or None."""
    now = clock.now()
    return min((moment for moment in moments if moment is not None and moment > now), default=None)


def _is_among(tag: bytes, asked: bytes) -> bool:
    # Most clients send the one tag that they were given.
    if asked == tag or asked.strip() == b"*":
        return True
    return tag.removeprefix(b"W/") in _TAG.findall(asked)


def _cache_control(max_age: int, s_maxage: int, stale: int) -> bytes:
    return f"public, max-age={max_age}, s-maxage={s_maxage}, stale-while-revalidate={stale}".encode()


def _entity_tag(content: msgspec.Struct, body: bytes) -> bytes:
    """Return a weak tag of what a read says, whenever it was read: `as_of` does not count."""
    digest = hashlib.blake2b(digest_size=12)
    if hasattr(content, "as_of"):
        # Cut out of what is encoded already. Before it stand texts only, in which a quotation mark is never bare.
        before, _, after = body.partition(_AS_OF)
        digest.update(before)
        body = after.partition(b'"')[2]
    digest.update(body)
    return b'W/"' + digest.hexdigest().encode() + b'"'
