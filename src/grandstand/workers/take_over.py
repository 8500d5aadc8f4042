"""Takes over what dead workers left, carefully: what killed one must not kill all of them for ever.

A block is first tried together with others; one whose worker died of that is tried alone; one whose worker died of it
again is tried event by event, and the event at which that worker dies is a dead letter at the next take-over, without
being tried again. Marks in Valkey (`storage/trial_marks.py`) say how far it has come.

    read by a worker ──dies──► together ──dies──► alone ──dies──► event by event ──dies──► that event is a dead letter
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from grandstand import clock
from grandstand.domain.dead_letters import WorkerLostError
from grandstand.operations.bury_events import EventBurier, Lost
from grandstand.storage.event_stream import Block, EventStream
from grandstand.storage.trial_marks import Mark, TrialMarks
from grandstand.workers.doubts import TROUBLE
from grandstand.workers.isolation import Outcome, PoisonIsolator, one_by_one

BLOCKS_MAX = 20
"""Blocks of each priority that one worker takes over at once: the rest is for others, and for its next round."""

_DEATHS_OF_ONE = 4
"""Attempts that a dead letter has behind it when its event killed every worker that tried it."""

_TAKE_BACK_SECONDS = 1.0
"""Longest wait for that: a stop has a limit."""

_TOGETHER = Mark("together")
_ALONE = Mark("alone")


class TakeOver:
    """Takes over for one worker. `settle` is told what became of blocks; what `is_held` is this worker's already."""

    def __init__(
        self,
        name: str,
        stream: EventStream,
        marks: TrialMarks,
        isolator: PoisonIsolator,
        burier: EventBurier,
        settle: Callable[[Sequence[Block], Outcome], Awaitable[None]],
        *,
        is_held: Callable[[Block], bool],
        idle_seconds: float,
    ) -> None:
        self._name = name
        self._stream = stream
        self._marks = marks
        self._isolator = isolator
        self._burier = burier
        self._settle = settle
        self._is_held = is_held
        self._idle_seconds = idle_seconds
        self._claimed: dict[Block, Mark | None] = {}

    def blocks(self) -> list[Block]:
        """Return the deliveries that are not done yet."""
        return list(self._claimed)

    async def run(self) -> bool:
        """Take over stalled blocks and process them; return whether there may be more.

        Raises:
            TROUBLE: an engine is away; the next call goes on with what is taken over.
        """
        found = await self._stream.claim_stalled(self._name, self._idle_seconds, BLOCKS_MAX)
        if found:
            # What a mark says is read once: those written below are this worker's own.
            for block, mark in zip(found, await self._marks.read(found), strict=True):
                if not self._is_held(block):
                    self._claimed.setdefault(block, mark)
        fresh = [block for block, mark in self._claimed.items() if mark is None]
        if fresh:
            await self._try(fresh, _TOGETHER)
        for block, mark in list(self._claimed.items()):
            if mark == _TOGETHER:
                await self._try([block], _ALONE)
            else:
                await self._try_each(block, () if mark is None else mark.places)
        return len(found) >= BLOCKS_MAX

    async def _try(self, blocks: list[Block], mark: Mark) -> None:
        async with self._tried(blocks, mark):
            outcome = await self._isolator.apply(blocks)
        await self._marks.clear(blocks)
        await self._done(blocks, outcome)

    async def _try_each(self, block: Block, killers: tuple[int, ...]) -> None:
        events = one_by_one(block)
        now = clock.now()
        error = WorkerLostError("Every worker that processed this event died of it.")
        lost = [Lost(events[place], error, _DEATHS_OF_ONE, now, now) for place in killers if place < len(events)]
        if lost:
            await self._burier.bury(lost)
        whole = Outcome()
        for place, event in enumerate(events):
            if place in killers:
                continue
            async with self._tried([block], Mark("events", (*killers, place))):
                outcome = await self._isolator.apply([event])
            whole.applied.add(outcome.applied)
            whole.failures += outcome.failures
        # Until the block is acknowledged somebody may have to go through it again, and must not try the killers.
        await self._marks.put({block: Mark("events", killers)})
        await self._done([block], whole)
        if not whole.failures:
            await self._marks.clear([block])

    @asynccontextmanager
    async def _tried(self, blocks: Sequence[Block], mark: Mark) -> AsyncIterator[None]:
        """Mark blocks while they are tried. Who lives to see a try end without an outcome takes its mark back."""
        before = {block: self._claimed[block] for block in blocks}
        await self._marks.put(dict.fromkeys(blocks, mark))
        try:
            yield
        except (*TROUBLE, asyncio.CancelledError):
            with contextlib.suppress(*TROUBLE):
                async with asyncio.timeout(_TAKE_BACK_SECONDS):
                    if found := {block: old for block, old in before.items() if old is not None}:
                        await self._marks.put(found)
                    await self._marks.clear([block for block, old in before.items() if old is None])
            raise

    async def _done(self, blocks: Sequence[Block], outcome: Outcome) -> None:
        for block in blocks:
            del self._claimed[block]
        await self._settle(blocks, outcome)
