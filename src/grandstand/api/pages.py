"""Pages of ranks as replies; those that everyone may see are kept, encoded, until something changes."""

import asyncio
from http import HTTPStatus
from typing import NamedTuple

from litestar.types import HTTPScope

from grandstand.api.access import Sender, principal_of, require_reader
from grandstand.api.at_once import Whole
from grandstand.api.page_sources import PageSource
from grandstand.api.parameters import Query
from grandstand.api.public_reads import PublicReads, not_modified, tag_of, without_body
from grandstand.api.replies import Reply, headers_of
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal
from grandstand.domain.errors import UnauthorizedError
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.answer_cache import AnswerCache

BYTES_MAX = 33_554_432
"""Bytes that are kept, of bodies and of names; those used longest ago go first."""

NAME_BYTES_MAX = 1024
"""A longer name is no page that two clients ask for, and is not kept."""

ENTRY_BYTES = 1024
"""What a page costs beside its name and body, roughly: headers, tuples, its place in the dictionary."""


class _HiddenError(Exception):
    """The board, or tournament, is not public any more."""


class HeldPage(NamedTuple):
    """A page that is kept, and both answers with it as they are sent: 200, and 304 for a client that has it.

    `route` is what requests for it count as.
    """

    route: str
    reply: Reply
    tag: bytes | None
    whole: Whole
    unchanged: Whole

    @classmethod
    def of(cls, route: str, reply: Reply) -> "HeldPage":
        """Return a page as it is kept."""
        return cls(route, reply, tag_of(reply), _whole(reply), _whole(without_body(reply)))


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

    async def answer(self, scope: HTTPScope, source: PageSource, encoded_key: str) -> Reply:
        """Answer a GET of a page of a source; its key, or id, is percent-encoded.

        Raises:
            GrandstandError: every refusal of the contract.
        """
        principal = principal_of(scope, self._services)
        if principal.kind == "player":
            # What a token adds is for nobody else.
            key = source.key(encoded_key)
            require_reader(principal, source.scope, await source.visibility(self._services, key))
            reply = await self._read(source, key, Query(scope["query_string"]), principal.user_id, "private")
        else:
            # What is kept is for everybody, whatever the key.
            held = self.cache.find(page_name(scope))
            reply = await self._read_shared(principal, source, encoded_key, scope) if held is None else held.reply
        return not_modified(reply, scope)

    def rendering(self, scope: HTTPScope, sender: Sender) -> "asyncio.Task[HeldPage] | None":
        """Return what renders, right now, the page that a request of this sender is to be answered with."""
        if isinstance(sender, UnauthorizedError) or sender.kind == "player":
            return None
        return self.cache.loading(page_name(scope))

    async def _read_shared(self, principal: Principal, source: PageSource, encoded_key: str, scope: HTTPScope) -> Reply:
        services, key = self._services, source.key(encoded_key)
        visibility = await source.visibility(services, key)
        require_reader(principal, source.scope, visibility)
        query, name = Query(scope["query_string"]), page_name(scope)
        if visibility != "public":
            return await self._read(source, key, query, None, "private")
        mark = await source.marking(services, key, query) if len(name) <= NAME_BYTES_MAX else _unmarked

        async def render() -> HeldPage:
            # Asked once more, under the mark: it may have changed since.
            if await source.visibility(services, key) != "public":
                raise _HiddenError
            return HeldPage.of(source.route, await self._read(source, key, query, None, "public"))

        try:
            return (await self.cache.compute(name, mark, render)).reply
        except _HiddenError:
            require_reader(principal, source.scope, await source.visibility(services, key))
            return await self._read(source, key, query, None, "private")

    async def _read(
        self, source: PageSource, key: str, query: Query, reader_id: str | None, visibility: Visibility
    ) -> Reply:
        page, is_archived = await source.read(self._services, key, query, reader_id)
        return self.public.reply(page, visibility, is_archived=is_archived)


def _unmarked() -> None:
    return None


def page_name(scope: HTTPScope) -> bytes:
    """Return the name under which a request's page is cached."""
    return scope["raw_path"] + b"?" + scope["query_string"]
