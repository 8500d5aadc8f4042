"""A bad event holds up a settlement until it is a dead letter, and no longer."""

from datetime import timedelta

from tests.support.poison import append, poison
from tests.support.waiting import eventually_async
from tests.support.workers import consumer, running
from tests.tournaments.cups import HOUR, SETTLED_AFTER, START, Cups, score


async def test_a_settlement_waits_for_a_bad_event_until_it_is_a_dead_letter(cups: Cups) -> None:
    core = cups.core
    await cups.create(prizes=[{"from": 1, "kind": "gold", "amount": 100}])
    cups.time.at(START)
    assert await cups.run() == 1
    cups.time.at(START + HOUR - timedelta(seconds=5))
    await cups.append(score("ann", 10))
    await append(core, [poison()], received_at=cups.time.now)
    cups.time.at(START + HOUR + SETTLED_AFTER)

    async def is_only_the_bad_one_left() -> bool:
        return (await core.stream.depth()).depth == 1

    async def is_drained() -> bool:
        return (await core.stream.depth()).depth == 0

    async with running(consumer(core, retry_seconds=3600)):
        await eventually_async(is_only_the_bad_one_left)
    await cups.run()
    assert (await cups.lister.get("cup")).status == "ended", "the bad event may still be a score"
    async with running(consumer(core, retry_seconds=0.02, reclaim_idle_seconds=0.05)):
        await eventually_async(is_drained)
    assert await core.database.pool.fetchval("SELECT count(*) FROM dead_letters") == 1
    await cups.run()
    assert (await cups.lister.get("cup")).status == "settled"
    assert [row.user_id for row in await cups.standings()] == ["ann"]
