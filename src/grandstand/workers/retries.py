"""Events that failed by themselves, on their way to another attempt or to the dead letters.

Meanwhile their delivery is not acknowledged: when the worker dies, whoever takes it over finds them again.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from grandstand import clock
from grandstand.operations.bury_events import EventBurier, Lost
from grandstand.storage.event_stream import Block
from grandstand.telemetry import metrics
from grandstand.workers.doubts import TROUBLE
from grandstand.workers.isolation import Failure, Outcome, PoisonIsolator

ATTEMPTS_MAX = 3
BASE_SECONDS = 2.0
"""Wait before the second attempt; it doubles from one to the next, give or take a quarter."""

_JITTER = 0.25
_AT_ONCE_MAX = 100
_WAITING_MAX = 5_000


class _Waiting(NamedTuple):
    block: Block
    part: Block
    error: Exception
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    due: float


class Retries:
    """What one worker tries again."""

    def __init__(
        self,
        isolator: PoisonIsolator,
        burier: EventBurier,
        *,
        base_seconds: float = BASE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._isolator = isolator
        self._burier = burier
        self._base_seconds = base_seconds
        self._monotonic = monotonic
        self._waiting: list[_Waiting] = []

    @property
    def is_full(self) -> bool:
        """Whether so much fails that the worker should take nothing new until it has got rid of some."""
        return len(self._waiting) >= _WAITING_MAX

    def blocks(self) -> list[Block]:
        """Return the deliveries that are not done yet."""
        return list({one.block[:2]: one.block for one in self._waiting}.values())

    def is_waiting(self, block: Block) -> bool:
        """Whether events of this delivery wait for another attempt."""
        return any(one.block[:2] == block[:2] for one in self._waiting)

    def add(self, blocks: Sequence[Block], failures: Sequence[Failure]) -> list[Block]:
        """Take in what failed of `blocks`; return those of them of which nothing did."""
        if not failures and not self._waiting:
            return list(blocks)
        whole = {block[:2]: block for block in blocks}
        now = clock.now()
        self._waiting = [one for one in self._waiting if one.block[:2] not in whole]
        for part, error in failures:
            self._waiting.append(_Waiting(whole[part[:2]], part, error, 1, now, now, self._due(1)))
        failed = {failure.part[:2] for failure in failures}
        return [block for key, block in whole.items() if key not in failed]

    async def run(self) -> tuple[Outcome, list[Block]]:
        """Try what is due, and bury what failed for the last time; return what came of it and what may be acknowledged.

        Raises:
            TROUBLE: an engine is away; everything is still to be tried.
        """
        now = self._monotonic()
        due = [one for one in self._waiting if one.due <= now][:_AT_ONCE_MAX]
        if not due:
            return Outcome(), []
        is_suspect = any(isinstance(one.error, TROUBLE) for one in due)
        outcome = await self._isolator.apply([one.part for one in due], is_suspect=is_suspect)
        metrics.EVENTS_RETRIED.inc(len(due))
        errors = {failure.part: failure.error for failure in outcome.failures}
        failed = [
            one._replace(
                error=errors[one.part],
                attempts=one.attempts + 1,
                last_failed_at=clock.now(),
                due=self._due(one.attempts + 1),
            )
            for one in due
            if one.part in errors
        ]
        lost = [one for one in failed if one.attempts >= ATTEMPTS_MAX]
        if lost:
            await self._burier.bury(
                [Lost(one.part, one.error, one.attempts, one.first_failed_at, one.last_failed_at) for one in lost]
            )
        tried = {id(one) for one in due}
        self._waiting = [one for one in self._waiting if id(one) not in tried]
        self._waiting += [one for one in failed if one.attempts < ATTEMPTS_MAX]
        left = Counter(one.block[:2] for one in self._waiting)
        done = {one.block[:2]: one.block for one in due}
        return outcome, [block for key, block in done.items() if not left[key]]

    def _due(self, attempts: int) -> float:
        wait_seconds: float = self._base_seconds * 2 ** (attempts - 1)
        return self._monotonic() + wait_seconds * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
