"""Counting keeps up with the batches: it is of the order of what storing them takes."""

import random
import time
from datetime import timedelta

import pytest

from grandstand.domain.events import Event
from grandstand.operations.count_events import EventCounter
from tests.support.core import NOON, Core, block, event

pytestmark = [pytest.mark.anyio, pytest.mark.alone]

BATCHES = 3
BATCH_EVENTS = 2_000


def batch(chance: random.Random) -> list[Event]:
    """Events of which nearly each has an hour, type and user of its own: the most work that events can make."""
    return [
        event(
            f"player-{chance.randrange(20_000)}",
            at=NOON - timedelta(minutes=chance.randrange(360)),
            event_type=chance.choice(["game_ended", "level_up", "session.begin", "purchase"]),
        )
        for _ in range(BATCH_EVENTS)
    ]


async def test_counting_keeps_up_with_storing(core: Core) -> None:
    chance = random.Random(7)
    counter = EventCounter(core.database, core.event_log)
    # What is made once, as plans and a partition, is made before.
    await core.applier.apply([block(batch(chance), NOON)])
    await counter.count()
    storing_seconds = counting_seconds = 0.0
    for events in [batch(chance) for _ in range(BATCHES)]:
        began_at = time.perf_counter()
        await core.applier.apply([block(events, NOON)])
        stored_at = time.perf_counter()
        assert await counter.count() == 1
        storing_seconds += stored_at - began_at
        counting_seconds += time.perf_counter() - stored_at
    # Well below what one row at a time costs, and well above what a busy machine adds.
    assert counting_seconds < 3 * storing_seconds
