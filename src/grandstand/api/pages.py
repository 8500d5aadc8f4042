"""Leaderboard pages as replies: read, encoded, with the headers that let browsers and edges keep public ones."""

import hashlib
from datetime import UTC, datetime

import msgspec
from litestar.types import HTTPScope

from grandstand import clock
from grandstand.api.access import principal_of, require_reader
from grandstand.api.page_cache import PageCache, Rendered
from grandstand.api.parameters import Query, read_key
from grandstand.api.replies import JSON, PRIVATE, Headers, Reply, encode
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.leaderboard_views import Page
from grandstand.operations.read_leaderboard import WHOLE_BOARD

_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class Pages:
    """Serves the pages of one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.cache = PageCache(services.reader.generation, services.settings.read_cache_seconds)
        self._max_age = services.settings.public_max_age_seconds
        self._public = _public(self._max_age)

    async def answer(self, scope: HTTPScope, encoded_key: str) -> Reply:
        """Answer `GET /api/leaderboards/{key}`.

        Raises:
            GrandstandError: every refusal of the contract.
        """
        principal = principal_of(scope, self._services)
        if principal.kind == "player":
            reply = await self._read(principal, encoded_key, Query(scope["query_string"]))
        else:
            reply = await self._read_shared(principal, encoded_key, scope)
        return not_modified(reply, scope)

    async def _read_shared(self, principal: Principal, encoded_key: str, scope: HTTPScope) -> Reply:
        key = read_key(encoded_key)
        visibility = await self._services.reader.visibility(key)
        require_reader(principal, "leaderboards:read", visibility)
        query = Query(scope["query_string"])
        if visibility != "public":
            return await self._read(principal, encoded_key, query)
        name = page_name(scope)
        held = self.cache.find(name)
        if held is not None:
            return held

        async def render() -> Rendered:
            # Asked before reading: what changes meanwhile makes the page old at once, instead of never.
            generation = self._services.reader.generation(key) if query.part() == WHOLE_BOARD else None
            return Rendered(self._reply(await self._page(key, query, query.user_id()), "public"), generation)

        return await self.cache.compute(name, key, render)

    async def _read(self, principal: Principal, encoded_key: str, query: Query) -> Reply:
        key = read_key(encoded_key)
        require_reader(principal, "leaderboards:read", await self._services.reader.visibility(key))
        page = await self._page(key, query, query.user_id() or principal.user_id)
        return self._reply(page, "private")

    async def _page(self, key: str, query: Query, user_id: str | None) -> Page:
        return await self._services.reader.page(
            key,
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
            from_rank=query.integer("from_rank"),
            user_id=user_id,
            part=query.part(),
        )

    def _reply(self, page: Page, visibility: Visibility) -> Reply:
        return Reply(200, encode(page), JSON, self.headers(page, visibility))

    def _cache_control(self, content: msgspec.Struct) -> bytes:
        """Return for how long a public read may be kept: never beyond the end of its period."""
        ends_at: datetime | None = getattr(content, "period_ends_at", None)
        if ends_at is None:
            return self._public
        left = int((ends_at - clock.now()).total_seconds())
        return self._public if left >= 5 * self._max_age or left < 0 else _public(min(self._max_age, left // 5))

    def headers(self, content: msgspec.Struct, visibility: Visibility) -> Headers:
        """Return the headers of a read: cacheable for what everyone may see, and not at all for the rest."""
        if visibility != "public":
            return PRIVATE
        return (
            (b"cache-control", self._cache_control(content)),
            (b"etag", _entity_tag(content)),
            # A player token adds that player's own entry, so an edge must keep those answers apart from this one.
            (b"vary", b"Authorization"),
        )


def page_name(scope: HTTPScope) -> bytes:
    """Return the name under which a request's page is cached."""
    return scope["raw_path"] + b"?" + scope["query_string"]


def _public(max_age: int) -> bytes:
    return f"public, max-age={max_age}, s-maxage={max_age}, stale-while-revalidate={4 * max_age}".encode()


def not_modified(reply: Reply, scope: HTTPScope) -> Reply:
    """Return 304 in place of a reply that the client has already (`If-None-Match`)."""
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            for header, tag in reply.headers:
                if header == b"etag" and (value.strip() == b"*" or tag in [part.strip() for part in value.split(b",")]):
                    return Reply(304, b"", reply.media_type, reply.headers)
    return reply


def _entity_tag(content: msgspec.Struct) -> bytes:
    """Return a weak tag of what a read says, whenever it was read: `as_of` does not count."""
    if hasattr(content, "as_of"):
        content = msgspec.structs.replace(content, as_of=_NO_TIME)
    return b'W/"' + hashlib.blake2b(encode(content), digest_size=12).hexdigest().encode() + b'"'
