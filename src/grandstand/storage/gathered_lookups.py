"""Look-ups that come at about the same time share one call to an engine.

A call costs a process about as much as ten look-ups in one do. Who comes while no call is under way leaves at the end
of this turn of the event loop, with whoever else comes in it. While one is under way, who comes gathers until it is
back, and for `LINGER_SECONDS` at most: a slow server delays nobody twice, and the busier a process is, the more share.
What nobody needs sooner may be asked for less often than that: `apart_seconds` lie between two calls then.

As many as are worth a call of their own wait for neither. Else all that a busy process has to answer would be in one
call, and it would have nothing to do until that is back, nor the engine while it answers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

import structlog

from grandstand.telemetry import traces

Place = TypeVar("Place", bound=Hashable)
Asked = TypeVar("Asked", bound=Hashable)
Found = TypeVar("Found")

LINGER_SECONDS = 0.002
"""Longest wait for a call that is under way: a small part of what a look-up takes where it matters how many share."""

CALL_WEIGHT_MAX = 1_000
"""What one call asks for, in entries: about a millisecond of the server's single thread."""

CALLS_AT_ONCE = 2
"""Calls for one place that may be under way while others leave by their weight alone."""

LOOK_UP_WEIGHT = 5
"""What a look-up of one entry costs beside the entries that it reads."""


Tell = Callable[[Found | None, BaseException | None], None]
"""Takes what was found, or why nothing was; that it raises is logged."""

_log = structlog.get_logger(__name__)


class _Group(Generic[Asked, Found]):
    """Those who share a call that has not begun."""

    __slots__ = ("asked", "leaving", "weight")

    def __init__(self) -> None:
        self.asked: list[tuple[Asked, Tell[Found]]] = []
        self.leaving: asyncio.Handle | None = None
        self.weight = 0


class GatheredLookups(Generic[Place, Asked, Found]):
    """Gathers the look-ups of one process. `ask` answers for all that is asked of one place (a ranking).

    What it does before it returns what is awaited is done while others come yet. Those who gathered `early_weight` are
    worth a call of their own.
    """

    def __init__(
        self,
        ask: "Callable[[Place, Sequence[Asked]], Awaitable[Mapping[Asked, Found]]]",
        weigh: "Callable[[Asked], int]" = lambda _: LOOK_UP_WEIGHT,
        *,
        early_weight: int = CALL_WEIGHT_MAX,
        apart_seconds: float = 0.0,
    ) -> None:
        self._ask = ask
        self._weigh = weigh
        self._early_weight = early_weight
        self._apart_seconds = apart_seconds
        self._linger_seconds = max(LINGER_SECONDS, apart_seconds)
        self._open: dict[Place, _Group[Asked, Found]] = {}
        self._under_way: dict[Place, int] = {}
        self._calls: set[asyncio.Task[None]] = set()

    def find(self, place: Place, asked: Asked) -> "asyncio.Future[Found]":
        """Return, as a future, what `ask` says, asked after this call began; it fails with what `ask` raises."""
        answer: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self.tell(place, asked, partial(_settle, answer))
        return answer

    def tell(self, place: Place, asked: Asked, tell: "Tell[Found]") -> None:
        """Look up as `find` does, and have it told once, never at once: without a future and its turn of the loop."""
        group = self._open.get(place)
        if group is None:
            group = self._open[place] = _Group()
            # Asked for once a group: to ask costs a call of the system.
            loop = asyncio.get_running_loop()
            if place in self._under_way:
                group.leaving = loop.call_later(self._linger_seconds, self._leave, place, group)
            else:
                group.leaving = loop.call_soon(self._leave, place, group)
        group.asked.append((asked, tell))
        group.weight += self._weigh(asked)
        if group.weight >= self._early_weight and (
            group.weight >= CALL_WEIGHT_MAX or self._under_way.get(place, 0) < CALLS_AT_ONCE
        ):
            self._leave(place, group)

    def _leave(self, place: Place, group: "_Group[Asked, Found]") -> None:
        if self._open.get(place) is not group:
            return
        del self._open[place]
        if group.leaving is not None:
            group.leaving.cancel()
        self._under_way[place] = self._under_way.get(place, 0) + 1
        loop = asyncio.get_running_loop()
        if self._apart_seconds:
            # Until then it counts as under way, however soon it is back.
            self._under_way[place] += 1
            loop.call_later(self._apart_seconds, self._end, place)
        call = loop.create_task(
            self._call(place, group.asked, self._begin(place, group.asked)),
            name="look up together",
            context=traces.OUTSIDE,
        )
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    def _begin(self, place: Place, group: "list[tuple[Asked, Tell[Found]]]") -> "Awaitable[Mapping[Asked, Found]]":
        """Ask, now and not in the task, whose turn comes after all that has arrived for this turn of the loop."""
        try:
            return self._ask(place, list(dict.fromkeys([asked for asked, _ in group])))
        except Exception as error:  # noqa: BLE001 - all must hear of it
            failed: asyncio.Future[Mapping[Asked, Found]] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            return failed

    async def _call(
        self, place: Place, group: "list[tuple[Asked, Tell[Found]]]", answer: "Awaitable[Mapping[Asked, Found]]"
    ) -> None:
        try:
            found = await answer
        except BaseException as error:
            self._end(place)
            for _, tell in group:
                _say(tell, None, error)
            if not isinstance(error, Exception):
                raise  # the loop ends under the call
        else:
            # The next call is on its way while these are told.
            self._end(place)
            for asked, tell in group:
                _say(tell, found[asked], None)

    def _end(self, place: Place) -> None:
        """Note that a call is back; whoever has gathered meanwhile leaves now."""
        under_way = self._under_way[place] = self._under_way[place] - 1
        if not under_way:
            del self._under_way[place]
        waiting = self._open.get(place)
        if waiting is not None and (not under_way or waiting.weight >= self._early_weight):
            self._leave(place, waiting)


def _say(tell: "Tell[Found]", found: Found | None, error: BaseException | None) -> None:
    try:
        tell(found, error)
    except Exception:  # noqa: BLE001 - the others must hear of theirs
        _log.exception("look_up_not_told")


def _settle(answer: "asyncio.Future[Found]", found: Found | None, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(found)  # type: ignore[arg-type]
    elif isinstance(error, Exception):
        answer.set_exception(error)
    else:
        answer.cancel()
