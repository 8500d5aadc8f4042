"""Reads of ranks and prizes: answered by the call that looks them up, or by a task, without what ASGI does around it.

Games ask this after every match. The look-up itself is one of many in a call (`gathered_lookups.py`), so a scope with
its `receive`, two messages and their checks cost more than all the rest. The same functions admit, judge and answer as
in the usual way, which whatever is not plain takes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import msgspec
from litestar.types import ASGIApp, HTTPScope

from grandstand.api.access import Sender, require_reader, sender_with, shown_to
from grandstand.api.at_once import SingleHeaders
from grandstand.api.limits import admit_sender
from grandstand.api.pages import HeldPage, Pages
from grandstand.api.parameters import Query
from grandstand.api.place_reads import AROUND, board_nearby, board_user, read_reply
from grandstand.api.plain_reads import Read, find_read
from grandstand.api.prize_reads import asked_prizes, list_prizes, prizes_reply
from grandstand.api.public_reads import not_modified
from grandstand.api.replies import Headers, Reply
from grandstand.api.request_heads import RawHeaders
from grandstand.api.services import Services
from grandstand.api.whole_requests import Begun, Respond, WholeRequests, refusal_of
from grandstand.domain.errors import GrandstandError, InvalidError, UnauthorizedError
from grandstand.domain.event_model import is_user_id
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.find_ranking import Target
from grandstand.operations.leaderboard_views import Page, UserRank
from grandstand.operations.read_leaderboard import WHOLE_BOARD
from grandstand.operations.tournament_views import PrizeList


class ReadHead(msgspec.Struct):
    """What the headers of a read say, none of which came twice: found once for all reads that have the same."""

    headers: RawHeaders
    authorization: str | None

    @classmethod
    def of(cls, headers: RawHeaders, by_name: SingleHeaders) -> "ReadHead":
        """Return what these headers say."""
        authorization = by_name.get(b"authorization")
        return cls(headers, None if authorization is None else authorization.decode("latin-1"))


ReadAtOnce = Callable[[bytes, ReadHead, tuple[str, int], Respond], bool]
"""Takes the target of a GET without a body, its head, the peer, and what sends the answer: now or later, once.

False, and nothing is done or sent, if the request has to take the usual way."""


def read_at_once_of(app: ASGIApp) -> ReadAtOnce | None:
    """Return what an app takes such reads with; None of an app that has nothing of the kind."""
    return cast("ReadAtOnce | None", getattr(app, "read_at_once", None))


class WholeReads:
    """Takes the reads of one process; `is_here` says whether it serves a path."""

    def __init__(
        self, services: Services, pages: Pages, requests: WholeRequests, is_here: Callable[[str], bool]
    ) -> None:
        self._services = services
        self._pages = pages
        self._requests = requests
        self._is_here = is_here

    def take(self, target: bytes, head: ReadHead, peer: tuple[str, int], respond: Respond) -> bool:
        """Take a read of ranks or prizes; False for anything else."""
        if b"#" in target:
            return False
        began_at = time.perf_counter()
        raw_path, _, query = target.partition(b"?")
        found = find_read(raw_path)
        if found is None:
            return False
        path = raw_path.decode("latin-1")
        # What the rules and the reads look at of a request.
        parts: dict[str, Any] = {
            "path": path, "raw_path": raw_path, "query_string": query, "headers": head.headers, "client": peer
        }  # fmt: skip
        scope = cast("HTTPScope", parts)
        if not self._is_here(path):
            return False
        begun = Begun("GET", path, found.route, began_at, respond)
        read = found.read
        try:
            sender = sender_with(head.authorization, self._services)
            admission = admit_sender(scope, self._services, sender)
            if (
                found.rank_of is not None
                and not query
                and isinstance(admission, tuple)
                and self._tells_rank(scope, sender, *found.rank_of, admission, begun)
            ):
                return True
            if (
                found.around is not None
                and isinstance(admission, tuple)
                and self._tells_nearby(scope, sender, *found.around, admission, begun)
            ):
                return True
            if (
                read is list_prizes
                and isinstance(admission, tuple)
                and self._tells_prizes(query, sender, admission, begun)
            ):
                return True
            rendering = self._pages.rendering(scope, sender)
        except Exception as error:  # noqa: BLE001 - a fault of ours is logged and answered, too
            self._requests.refuse(begun, error)
            return True
        if rendering is not None and isinstance(admission, tuple):
            rendering.add_done_callback(partial(self._hand_out, scope, read, admission, begun))
        else:
            self._requests.run(self._read(scope, read, admission, begun), "read")
        return True

    def _tells_rank(
        self, scope: HTTPScope, sender: Sender, key: str, user_id: str, headers: Headers, begun: Begun
    ) -> bool:
        """Answer with a rank once its look-up tells it, without a task; False, and nothing is done, if that cannot be.

        So it is for most: the board, who may read it and the player's name are in memory.
        """
        known = self._known_place(sender, key, user_id, user_id)
        if known is None:
            return False
        target, shown = known

        def tell(rank: UserRank | Exception | None, is_index_asked: bool) -> None:
            if rank is None:
                again = partial(board_user, encoded_key=key, encoded_user=user_id, is_index_asked=is_index_asked)
                self._requests.run(self._read(scope, again, headers, begun), "read")
            else:
                self._answer_told(scope, rank, shown, headers, begun)

        return self._services.reader.tell_user(target, user_id, tell)

    def _tells_nearby(
        self, scope: HTTPScope, sender: Sender, key: str, user_id: str, headers: Headers, begun: Begun
    ) -> bool:
        """Answer with the ranks around a player likewise; names that are not in memory are looked up in a task."""
        known = self._known_place(sender, key, user_id, None)
        if known is None:
            return False
        target, shown = known
        above = below = AROUND
        if scope["query_string"]:
            try:
                query = Query(scope["query_string"])
                above, below, part = query.count("above", AROUND), query.count("below", AROUND), query.part()
            except InvalidError:
                return False
            if part != WHOLE_BOARD:
                return False

        def tell(page: Page | Awaitable[Page] | Exception | None, is_index_asked: bool) -> None:
            if page is None:
                again = partial(board_nearby, encoded_key=key, encoded_user=user_id, is_index_asked=is_index_asked)
                self._requests.run(self._read(scope, again, headers, begun), "read")
            elif isinstance(page, Page | Exception):
                self._answer_told(scope, page, shown, headers, begun)
            else:
                self._requests.run(self._read(scope, partial(_reply_with, page, shown), headers, begun), "read")

        return self._services.reader.tell_nearby(target, user_id, above, below, tell)

    def _tells_prizes(self, query: bytes, sender: Sender, headers: Headers, begun: Begun) -> bool:
        """Answer with a player's prizes, as they are now, likewise; False, and nothing is done, for any other list."""
        if isinstance(sender, UnauthorizedError):
            return False
        try:
            # Not by `principal_of`: who acts is said for a task, and here is only that of the connection.
            user_id, wanted, is_fresh = asked_prizes(sender, query)
        except GrandstandError:
            return False
        if user_id is None or not is_fresh:
            return False

        def tell(found: PrizeList | None, error: BaseException | None) -> None:
            if error is not None:
                self._requests.answer(begun, refusal_of(begun, error), headers)
            elif found is not None:
                self._requests.answer(begun, prizes_reply(found), headers)

        self._services.prizes.tell(user_id, wanted, tell)
        return True

    def _known_place(
        self, sender: Sender, key: str, user_id: str, own_user_id: str | None
    ) -> tuple[Target, Visibility] | None:
        """Return what a read of a place is about and who may be shown it; None where the usual way has to judge it."""
        target = self._services.reader.known(key)
        if (
            target is None
            or isinstance(sender, UnauthorizedError)
            or "%" in user_id
            or not user_id.isascii()
            or not is_user_id(user_id)
        ):
            return None
        visibility = target.board.definition.visibility
        try:
            require_reader(sender, "leaderboards:read", visibility, own_user_id)
        except GrandstandError:
            return None
        return target, shown_to(sender, visibility)

    def _answer_told(
        self, scope: HTTPScope, told: UserRank | Page | Exception, shown: Visibility, headers: Headers, begun: Begun
    ) -> None:
        try:
            if isinstance(told, Exception):
                raise told
            reply = read_reply(scope, self._pages, told, shown)
        except Exception as error:  # noqa: BLE001 - as above
            reply = refusal_of(begun, error)
        self._requests.answer(begun, reply, headers)

    def _hand_out(
        self, scope: HTTPScope, read: Read, headers: Headers, begun: Begun, rendering: "asyncio.Task[HeldPage]"
    ) -> None:
        """Answer with a page that was on its way already; without a task where it is there now."""
        if rendering.cancelled():
            # Only where the loop ends.
            return
        error = rendering.exception()
        if error is None:
            self._requests.answer(begun, not_modified(rendering.result().reply, scope), headers)
        elif isinstance(error, GrandstandError):
            # Once more would be twice the wait, and twice the load, where an engine is away.
            self._requests.answer(begun, refusal_of(begun, error), headers)
        else:
            # What was public while it was asked for, and is not any more, is judged for each.
            self._requests.run(self._read(scope, read, headers, begun), "read")

    async def _read(self, scope: HTTPScope, read: Read, admission: Headers | Awaitable[Headers], begun: Begun) -> None:
        try:
            headers = admission if isinstance(admission, tuple) else await admission
        except Exception as error:  # noqa: BLE001 - as above
            self._requests.refuse(begun, error)
            return
        try:
            reply = await read(scope, self._services, self._pages)
        except Exception as error:  # noqa: BLE001 - as above
            reply = refusal_of(begun, error)
        self._requests.answer(begun, reply, headers)


async def _reply_with(page: Awaitable[Page], shown: Visibility, scope: HTTPScope, _: Services, pages: Pages) -> Reply:
    return read_reply(scope, pages, await page, shown)
