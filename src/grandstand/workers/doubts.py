"""Tells the trouble of an engine from that of a batch.

An engine that is away raises the same errors as an event that makes a statement run for ever, or that a rule in the
database refuses in unusual words. What tells them apart: while a batch gets into trouble again and again, any other
event could be stored.
"""

import time
from collections.abc import Callable, Sequence

import asyncpg
import structlog

from grandstand.domain.errors import UnavailableError
from grandstand.operations.apply_events import EventApplier
from grandstand.storage.event_stream import Block
from grandstand.storage.postgres import NOT_SET_UP, OUT_OF_REACH
from grandstand.workers.loop import ENGINE_ERRORS

TROUBLE = (*ENGINE_ERRORS, *NOT_SET_UP)
"""What a batch may raise while an engine is away or an upgrade changes the schema."""

PATIENCE_SECONDS = 2.0
"""How long a batch must have been in trouble before it is to blame."""

_TRIES = 2
_ENGINES_OWN = (asyncpg.DiskFullError, asyncpg.PostgresSystemError, asyncpg.ReadOnlySQLTransactionError)
"""What no event can cause; a disk may be too full for a batch and still have room for what asks."""

_SLOWNESS = (TimeoutError, asyncpg.QueryCanceledError)
_Key = tuple[int, bytes]
_log = structlog.get_logger(__name__)


class Doubts:
    """What one worker has seen of trouble. `applier` is asked whether any event could be stored."""

    def __init__(
        self, applier: EventApplier, patience_seconds: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._applier = applier
        self._patience_seconds = patience_seconds
        self._monotonic = monotonic
        self._troubled: dict[_Key, tuple[int, float]] = {}

    async def blames(self, blocks: Sequence[Block], error: Exception, *, is_suspect: bool) -> bool:
        """Whether trouble with `blocks`, or a part of them, comes from what they hold. Until then they are to wait.

        What `is_suspect` has been blamed before: it is now as soon as it fails twice.
        """
        key = blocks[0][:2]
        if not isinstance(cause_of(error), (*OUT_OF_REACH, *NOT_SET_UP)) or isinstance(cause_of(error), _ENGINES_OWN):
            self._troubled.pop(key, None)
            return False
        try:
            await self._applier.rehearse()
        except Exception as found:  # noqa: BLE001 - whatever it is, nothing can be stored
            _log.info("nothing_can_be_stored", error=str(found) or type(found).__name__)
            self._troubled.pop(key, None)
            return False
        tries, since = self._troubled.get(key, (0, self._monotonic()))
        self._troubled[key] = (tries + 1, since)
        return tries + 1 >= _TRIES and (is_suspect or self._monotonic() - since >= self._patience_seconds)

    def forget(self, blocks: Sequence[Block]) -> None:
        """Begin anew: these blocks are through."""
        self._troubled.pop(blocks[0][:2], None)


def cause_of(error: Exception) -> Exception:
    """Return what is behind the word that an engine is away, as a dead letter tells it."""
    cause = error.__cause__
    if not isinstance(error, UnavailableError) or not isinstance(cause, Exception):
        return error
    if isinstance(cause, TimeoutError) and not str(cause):
        return TimeoutError("It took longer than GRANDSTAND_DATABASE_STATEMENT_TIMEOUT_SECONDS.")
    # That a transaction cannot be ended on a lost connection says less than how that was lost.
    return cause.__context__ if isinstance(cause.__context__, asyncpg.PostgresConnectionError) else cause


def is_slowness(error: Exception) -> bool:
    """Whether something took too long."""
    return isinstance(cause_of(error), _SLOWNESS)
