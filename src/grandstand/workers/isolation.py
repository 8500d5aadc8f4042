"""Finds the bad events of a batch that fails: it is split again and again, and every good part commits at once."""

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

import msgspec
import structlog

from grandstand.domain.dead_letters import reason_of
from grandstand.domain.event_model import cut_entry, join_entry
from grandstand.operations.apply_events import Applied, EventApplier
from grandstand.storage.event_log import RowRefusedError
from grandstand.storage.event_stream import Block
from grandstand.telemetry import metrics, traces
from grandstand.workers.doubts import TROUBLE, Doubts, cause_of, is_slowness

_PARTS = 8
"""Into how many parts one is split. Few make more rounds, many make more transactions."""

_SUSPICIONS_MAX = 2
"""How often in a batch the event that the database names is taken out by itself. With one bad event that leaves nothing
to search for; with many it would be the slower way."""

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Failure(NamedTuple):
    """An event that failed by itself: the block that holds nothing else, or a whole one that cannot be taken apart.

    Priority and id of `part` are those of the delivery that it came with.
    """

    part: Block
    error: Exception


@dataclass(slots=True)
class Outcome:
    """What became of a batch: what was applied, and what failed."""

    applied: Applied = field(default_factory=Applied)
    failures: list[Failure] = field(default_factory=list)
    was_too_slow: bool = False
    """Whether it took too long as a whole."""


class PoisonIsolator:
    """Applies batches of one worker's consumer of a stream."""

    def __init__(
        self,
        applier: EventApplier,
        doubts: Doubts,
        gate: AbstractAsyncContextManager[object] = nullcontext(),  # noqa: B008 - it has no state
    ) -> None:
        """Each transaction goes through the `gate`."""
        self._applier = applier
        self._doubts = doubts
        self._gate = gate

    async def apply(self, blocks: Sequence[Block], *, is_suspect: bool = False) -> Outcome:
        """Apply every event that can be applied. `is_suspect` says that trouble has come of these blocks before.

        Raises:
            TROUBLE: nobody can apply anything right now. What was applied before is applied; doing it again does no
                harm.
        """
        named = [(block.traces, block.received_at) for block in blocks if block.traces]
        with traces.batch(named, sum(block.events for block in blocks)):
            return await self._apply(blocks, is_suspect=is_suspect)

    async def _apply(self, blocks: Sequence[Block], *, is_suspect: bool) -> Outcome:
        outcome = Outcome()
        suspicions = _SUSPICIONS_MAX
        waiting = deque([blocks])
        while waiting:
            part = waiting.popleft()
            try:
                async with self._gate:
                    outcome.applied.add(await self._applier.apply(part))
            except Exception as error:
                is_trouble = isinstance(error, TROUBLE)
                if is_trouble and not await self._doubts.blames(blocks, error, is_suspect=is_suspect):
                    raise
                if part is blocks:
                    metrics.BATCHES_SPLIT.inc()
                    events = sum(block.events for block in part)
                    outcome.was_too_slow = is_slowness(error)
                    _log.warning("batch_failed", blocks=len(part), events=events, error=reason_of(error).message)
                smaller: list[Sequence[Block]] = []
                cause = cause_of(error)
                if isinstance(error, RowRefusedError) and isinstance(error.__cause__, Exception):
                    cause = error.__cause__
                    if suspicions:
                        suspicions -= 1
                        smaller = _part_from(part, error.event_id)
                smaller = smaller or _split(part)
                if smaller and is_trouble:
                    # Each part may take until a time-out: those that are not tried yet go first.
                    waiting.extend(smaller)
                elif smaller:
                    waiting.extendleft(reversed(smaller))
                else:
                    outcome.failures.append(Failure(part[0], cause))
        self._doubts.forget(blocks)
        return outcome


def _part_from(blocks: Sequence[Block], suspect: str) -> list[Sequence[Block]]:
    """Return a batch in two parts, the suspected event and all others; nothing where that would not split it."""
    for number, block in enumerate(blocks):
        if suspect.encode() not in block.data:
            continue
        events = cut_entry(block.data)
        places = [place for place, event in enumerate(events) if suspect.encode() in event]
        if not places or (len(events) == 1 and len(blocks) == 1):
            return []
        others = [*events[: places[0]], *events[places[0] + 1 :]]
        rest = [block._replace(events=len(others), data=join_entry(others))] if others else []
        alone = block._replace(events=1, data=join_entry([events[places[0]]]))
        return [[alone], [*blocks[:number], *rest, *blocks[number + 1 :]]]
    return []


def one_by_one(block: Block) -> list[Block]:
    """Return the events of a block, each as a block of its own; the block itself when it cannot be taken apart."""
    try:
        return [block._replace(events=1, data=join_entry([event])) for event in cut_entry(block.data)]
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return [block]


def _split(blocks: Sequence[Block]) -> list[Sequence[Block]]:
    """Return the parts of a batch: some of its blocks each, or of its one block some events; none of a single event."""
    if len(blocks) > 1:
        return list(_stretches(blocks))
    (block,) = blocks
    try:
        events = cut_entry(block.data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    if len(events) <= 1:
        return []
    return [[block._replace(events=len(some), data=join_entry(some))] for some in _stretches(events)]


def _stretches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    size = -(-len(items) // _PARTS)
    return (items[start : start + size] for start in range(0, len(items), size))
