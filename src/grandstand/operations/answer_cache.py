"""Keeps answers for as long as nothing is known to have changed, and never beyond a stated age.

An answer carries the *mark* that was in force before it was read: a value that is another one after every change that
this process hears of (see `ChangeFeed`). It is good while the mark is the same; the age bounds what an unheard change
can do. Without a mark (changes go unheard) nothing is kept.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

from grandstand.telemetry import metrics

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Mark = Callable[[], Hashable | None]
"""Returns the mark in force now, or None while changes go unheard."""


class _Kept(NamedTuple):
    answer: object
    mark: Mark
    marked: Hashable
    expires_at: float
    weight: int


class AnswerCache(Generic[K, V]):
    """The answers of one kind in one process; whoever was used longest ago goes first when there are too many."""

    def __init__(
        self, name: str, *, age_max_seconds: float, weight_max: int, weigh: Callable[[K, V], int] = lambda *_: 1
    ) -> None:
        """`name` is the metric's label; `weigh` says what of `weight_max` an answer costs. Age 0 keeps nothing."""
        self._age_max_seconds = age_max_seconds
        self._weight_max = weight_max
        self._weigh = weigh
        self._kept: OrderedDict[K, _Kept] = OrderedDict()
        self._weight = self._hit_count = 0
        self._sweep_at = 0.0
        self._under_way: dict[tuple[K, Hashable], asyncio.Task[V]] = {}
        self._newest: dict[K, tuple[Mark, Hashable, asyncio.Task[V]]] = {}
        self._hits, self._shared, self._misses = (
            metrics.CACHE_READS.labels(name, outcome) for outcome in ("hit", "shared", "miss")
        )
        metrics.note_pending(self)

    def flush(self) -> None:
        """Hand the hits to the metrics; one by one that would cost more than to find an answer."""
        if self._hit_count:
            self._hits.inc(self._hit_count)
            self._hit_count = 0

    def find(self, key: K) -> V | None:
        """Return an answer that is still good, or None."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.expires_at > time.monotonic() and kept.mark() == kept.marked:
            self._kept.move_to_end(key)
            self._hit_count += 1
            return kept.answer  # type: ignore[return-value]
        self._remove(key)
        return None

    async def get(self, key: K, mark: Mark, load: Callable[[], Awaitable[V]]) -> V:
        """Return an answer that is still good, or load it; while changes go unheard every caller loads its own."""
        if self._age_max_seconds <= 0 or mark() is None:
            self._misses.inc()
            return await load()
        found = self.find(key)
        return await self.compute(key, mark, load) if found is None else found

    async def compute(self, key: K, mark: Mark, load: Callable[[], Awaitable[V]]) -> V:
        """Return the answer, loaded now. Callers that come meanwhile share the load that is under way.

        Whoever comes after a change does not share one that began before it. Without a mark nobody can tell: then an
        answer may be as old as its load was long, which is the price of one load for all where an engine is away.
        """
        sharing = key, mark()
        task = self._under_way.get(sharing)
        if task is None:
            self._misses.inc()
            task = asyncio.create_task(self._load(key, mark, load), name="load an answer")
            self._under_way[sharing] = task
            self._newest[key] = mark, sharing[1], task
            task.add_done_callback(lambda done: self._end(sharing, done))
        else:
            self._shared.inc()
        # Shielded: one caller that goes away does not take the answer from the others.
        return await asyncio.shield(task)

    def loading(self, key: K) -> "asyncio.Task[V] | None":
        """Return the load that whoever asks now would share; None where there is none, or a change came after it."""
        found = self._newest.get(key)
        if found is None or found[1] is None or found[0]() != found[1]:
            return None
        self._shared.inc()
        return found[2]

    async def _load(self, key: K, mark: Mark, load: Callable[[], Awaitable[V]]) -> V:
        # Asked before reading: what changes meanwhile makes the answer old at once, instead of never.
        begun_at, marked = time.monotonic(), mark()
        answer = await load()
        if marked is not None and self._age_max_seconds > 0:
            self._sweep(begun_at)
            self._remove(key)
            weight = self._weigh(key, answer)
            self._kept[key] = _Kept(answer, mark, marked, begun_at + self._age_max_seconds, weight)
            self._weight += weight
            while self._weight > self._weight_max:
                self._remove(next(iter(self._kept)))
        return answer

    def _sweep(self, now: float) -> None:
        # Nobody may ask again for what went out of date (a board of last week, a page of somebody gone): without this
        # such answers stay until the weight is full, and the process grows for hours. Once an age, so that it costs
        # each answer one look.
        if now >= self._sweep_at:
            self._sweep_at = now + self._age_max_seconds
            for key in [key for key, kept in self._kept.items() if kept.expires_at <= now]:
                self._remove(key)

    def _end(self, sharing: tuple[K, Hashable], task: "asyncio.Task[V]") -> None:
        self._under_way.pop(sharing, None)
        newest = self._newest.get(sharing[0])
        if newest is not None and newest[2] is task:
            del self._newest[sharing[0]]
        if not task.cancelled():
            # Asked for, so that a failure which no caller has waited for is not reported as forgotten.
            task.exception()

    def _remove(self, key: K) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._weight -= kept.weight
