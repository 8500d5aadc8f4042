"""Leaderboard pages as replies; those that everyone may see are kept, encoded, until something changes."""

from collections.abc import Hashable
from http import HTTPStatus
from typing import NamedTuple

from litestar.types import HTTPScope

from grandstand.api.access import principal_of, require_reader
from grandstand.api.at_once import Whole
from grandstand.api.parameters import Query, read_key
from grandstand.api.public_reads import PublicReads, not_modified, tag_of, without_body
from grandstand.api.replies import Reply, headers_of
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.answer_cache import AnswerCache
from grandstand.operations.find_ranking import Part

BYTES_MAX = 33_554_432
"""Bytes that are kept, of bodies and of names; those used longest ago go first."""

NAME_BYTES_MAX = 1024
"""A longer name is no page that two clients ask for, and is not kept."""

ENTRY_BYTES = 1024
"""What a page costs beside its name and body, roughly: headers, tuples, its place in the dictionary."""


class _HiddenError(Exception):
    """The board is not public any more."""


class HeldPage(NamedTuple):
    """A page that is kept, and both answers with it as they are sent: 200, and 304 for a client that has it."""

    reply: Reply
    tag: bytes | None
    whole: Whole
    unchanged: Whole

    @classmethod
    def of(cls, reply: Reply) -> "HeldPage":
        """Return a page as it is kept."""
        return cls(reply, tag_of(reply), _whole(reply), _whole(without_body(reply)))


def _whole(reply: Reply) -> Whole:
    status = HTTPStatus(reply.status)
    lines = b"".join(b"%b: %b\r\n" % header for header in headers_of(reply))
    return Whole(f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode(), lines, reply.body)


class Pages:
    """Serves the pages of one process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self.public = PublicReads(services.settings)
        self.cache: AnswerCache[bytes, HeldPage] = AnswerCache(
            "pages",
            age_max_seconds=services.settings.read_cache_seconds,
            weight_max=BYTES_MAX,
            weigh=lambda name, held: len(name) + len(held.reply.body) + ENTRY_BYTES,
        )

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
        name, part = page_name(scope), query.part()
        # Only of a whole board it is known what changes it.
        is_kept = part == Part(part.period) and len(name) <= NAME_BYTES_MAX
        held = self.cache.find(name)
        if held is not None:
            return held.reply

        def mark() -> Hashable | None:
            return self._services.reader.generation(key, part) if is_kept else None

        async def render() -> HeldPage:
            # Asked once more, under the mark: it may have changed since.
            if await self._services.reader.visibility(key) != "public":
                raise _HiddenError
            return HeldPage.of(await self._page(key, query, query.user_id(), "public"))

        try:
            return (await self.cache.compute(name, mark, render)).reply
        except _HiddenError:
            return await self._read(principal, encoded_key, query)

    async def _read(self, principal: Principal, encoded_key: str, query: Query) -> Reply:
        key = read_key(encoded_key)
        require_reader(principal, "leaderboards:read", await self._services.reader.visibility(key))
        return await self._page(key, query, query.user_id() or principal.user_id, "private")

    async def _page(self, key: str, query: Query, user_id: str | None, visibility: Visibility) -> Reply:
        page = await self._services.reader.page(
            key,
            limit=query.count("limit", 100),
            cursor=query.text("cursor"),
            from_rank=query.integer("from_rank"),
            user_id=user_id,
            part=query.part(),
        )
        is_archived = await self._services.reader.is_archived(key, query.part())
        return self.public.reply(page, visibility, is_archived=is_archived)


def page_name(scope: HTTPScope) -> bytes:
    """Return the name under which a request's page is cached."""
    return scope["raw_path"] + b"?" + scope["query_string"]
