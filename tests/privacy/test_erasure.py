"""Erasure: no byte of the id stays, what is counted stays counted, and the id begins anew."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from grandstand.operations.audit import record
from grandstand.operations.finish_erasures import ErasureFinisher
from grandstand.storage.fencing import Fence
from grandstand.storage.leases import LeaseLostError, LeaseStore
from tests.privacy.life import (
    ELSEWHERE,
    FILLED,
    NAME,
    NEVER,
    Life,
    columns_with_text,
    fill,
    letter,
    places_in_postgres,
    places_in_valkey,
    samples_in_postgres,
)
from tests.support.core import event
from tests.support.invariants import check_invariants
from tests.tournaments.cups import START, Cups, score

pytestmark = pytest.mark.anyio


class KilledError(Exception):
    """Stands for a process that ends here."""


def killed_at(number: int) -> Fence:
    """A fence at which the process ends in its transaction of this number."""
    left = [number]

    async def fence(_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError

    return fence


async def test_no_byte_of_the_id_stays_and_totals_do(life: Life) -> None:
    core = life.core
    before = await life.totals()
    held = await places_in_postgres(core)
    assert {"events.user_id", "audit_log.target", "dead_letters.body", "player_devices.user_id"} <= held
    assert {"quarantine.user_id", "plausibility_minutes.user_id"} <= held
    assert "holders" in await places_in_valkey(core) or "banned" in await banned(life)
    await life.erase()
    assert await places_in_postgres(core) == set()
    assert await places_in_valkey(core) == set()
    assert await life.totals() == before
    assert await life.cups.fetch("SELECT status, counts FROM quarantine") == [("rejected", False)]
    await check_invariants(core)


@pytest.mark.parametrize("life", ["winner"], indirect=True)
async def test_every_column_that_can_hold_the_id_is_emptied(life: Life) -> None:
    """A new column with text belongs into `FILLED`, or into `NEVER`, where it must not be found."""
    core = life.core
    assert await columns_with_text(core) == FILLED.keys() | NEVER | ELSEWHERE
    await fill(life)
    found = await places_in_postgres(core)
    assert {place for place in found if not place.startswith("events_")} == FILLED.keys()
    await core.database.pool.execute("ANALYZE")
    sampled = await samples_in_postgres(core)
    assert {"entries.user_id", "standings.user_id", "audit_log.before", "webhook_events.payload"} <= sampled
    await life.erase()
    assert await places_in_postgres(core) | await places_in_valkey(core) == set()
    assert await samples_in_postgres(core) == set()


async def banned(life: Life) -> str:
    rows = await life.cups.fetch("SELECT banned_at FROM players WHERE user_id = $1", NAME)
    return "banned" if rows and rows[0][0] else ""


async def test_the_id_begins_anew(life: Life) -> None:
    core = life.core
    await life.erase()
    await life.cups.send(event(NAME, 1, at=life.cups.time.now))
    entry = await core.reader.user("global", NAME)
    assert entry.score == 1
    await check_invariants(core)
    await core.new_replayer().replay("count", None, dry_run=False)
    await core.refresh()
    await check_invariants(core)
    assert all("erased-" not in place.user_id for place in await core.walk("count"))


@pytest.mark.parametrize("life", ["winner"], indirect=True)
async def test_what_waits_in_the_stream_does_not_bring_it_back(life: Life) -> None:
    core, time = life.core, life.cups.time
    await life.cups.append(event(NAME, 4, at=time.now))
    await core.new_eraser().erase(NAME)
    time.forward(seconds=1)
    assert await core.new_erasure_finisher().finish() == 0
    await life.cups.append(event("p01", 4, at=time.now))
    await life.cups.process()
    assert await core.new_erasure_finisher().finish() == 1
    assert await places_in_postgres(core) | await places_in_valkey(core) == set()
    await check_invariants(core)


@pytest.mark.parametrize("life", ["winner"], indirect=True)
async def test_what_arrives_meanwhile_is_of_the_new_life(life: Life) -> None:
    core, time = life.core, life.cups.time
    await core.new_eraser().erase(NAME)
    time.forward(seconds=1)
    await life.cups.send(event(NAME, 2, at=time.now))
    assert await core.new_erasure_finisher().finish() == 1
    assert await life.cups.fetch("SELECT count(*) FROM events WHERE user_id = $1", NAME) == [(1,)]
    assert (await core.reader.user("global", NAME)).score == 2
    await check_invariants(core)


@pytest.mark.parametrize("life", ["winner"], indirect=True)
async def test_a_scheduler_that_dies_anywhere_leaves_what_the_next_goes_on_with(life: Life) -> None:
    core = life.core
    await core.new_eraser().erase(NAME)
    life.cups.time.forward(seconds=1)
    await check_invariants(core)
    for number in range(100):
        finisher = ErasureFinisher(
            core.database, core.ledger, core.erasures, core.registry, core.index, core.changes,
            slack=life.cups.time.now - life.cups.time.now, fence=killed_at(number),
        )  # fmt: skip
        try:
            await finisher.finish()
            break
        except KilledError:
            await check_invariants(core)
    else:
        pytest.fail("the erasure never came to its end")
    assert number > 5
    assert await places_in_postgres(core) | await places_in_valkey(core) == set()


@pytest.mark.parametrize("life", ["winner"], indirect=True)
async def test_twice_is_the_same_as_once(life: Life) -> None:
    first = await life.core.new_eraser().erase(NAME)
    assert await life.core.new_eraser().erase(NAME) == first
    life.cups.time.forward(seconds=1)
    assert await life.core.new_erasure_finisher().finish() == 1
    assert await life.core.new_erasure_finisher().finish() == 0
    assert (await life.core.new_eraser().erase(NAME)).erasure_id != first.erasure_id


async def test_taking_samples_anew_holds_up_no_other_leader(cups: Cups) -> None:
    """It may take minutes, and longer than its process lives; nothing is opened or paid until another leads."""
    core, time, leases = cups.core, cups.time, LeaseStore()
    time.at(START)
    await core.define("sampled")
    await cups.send(*(event(user, 5, at=START) for user in "abc"))
    await core.database.pool.execute("ANALYZE entries")
    await core.new_eraser().erase("a")
    time.forward(seconds=1)
    async with core.database.transaction() as connection:
        term = await leases.take(connection, "scheduler", "one", 60)
    assert term is not None
    finisher = ErasureFinisher(
        core.database, core.ledger, core.erasures, core.registry, core.index, core.changes,
        slack=timedelta(0), fence=lambda connection: leases.fence(connection, term),
    )  # fmt: skip
    async with core.database.transaction() as vacuum:
        # As whoever vacuums the table does.
        await vacuum.execute("LOCK TABLE entries IN SHARE UPDATE EXCLUSIVE MODE")
        finishing = asyncio.ensure_future(finisher.finish())
        async with asyncio.timeout(20):
            while not await cups.fetch("SELECT FROM pg_locks WHERE relation = 'entries'::regclass AND NOT granted"):
                assert not finishing.done()
                await asyncio.sleep(0.02)
            async with core.database.transaction() as connection:
                await leases.release(connection, term)
            async with core.database.transaction() as connection:
                assert await leases.take(connection, "scheduler", "two", 60) is not None
    with pytest.raises(LeaseLostError):
        await finishing
    assert await core.new_erasure_finisher().finish() == 1


async def test_the_audit_log_and_the_outbox_lose_the_id_and_nothing_else(cups: Cups) -> None:
    """Whoever is called as a field is must not take that field out of all that was written down."""
    core, time = cups.core, cups.time
    time.at(START)
    said = {"user_id": "reason", "status": "pending"}
    async with core.database.transaction() as connection:
        void = said | {"reason": "reason told us, in the reason"}
        await record(connection, "prize.void", "1", before={"status": "pending"}, after=void)
        await record(connection, "leaderboard.put", "b", before={"reason": ["x", "reason"]}, after={"reason": "y"})
        await core.outbox.add(connection, "prize.claimed", said | {"reason": 1})
    await core.new_eraser().erase("reason")
    time.forward(seconds=1)
    assert await core.new_erasure_finisher().finish() == 1
    rows = await cups.fetch("SELECT before, after FROM audit_log WHERE target IN ('1', 'b') ORDER BY audit_id")
    (status, void), (listed, put) = [map(json.loads, row) for row in rows]
    pseudonym = void["user_id"]
    assert pseudonym.startswith("erased-")
    assert (status, void) == ({"status": "pending"}, {"user_id": pseudonym, "status": "pending"})
    assert (listed, put) == ({"reason": ["x", pseudonym]}, {"reason": "y"})
    [(payload,)] = await cups.fetch("SELECT payload FROM webhook_events WHERE type = 'prize.claimed'")
    assert json.loads(payload) == {"user_id": pseudonym, "status": "pending", "reason": 1}


async def test_ids_that_look_like_json_damage_none(cups: Cups) -> None:
    """Such an id stands between the texts of others, too; and in a text it is written in another way."""
    core, time = cups.core, cups.time
    time.at(START)
    names = [", ", ": ", ",", ":", 'a"b', "\\", "}", "true", "[]", "é\u2028"]
    said: dict[str, Any] = {"ids": ["x", "y", *names], "none": None, "empty": [{}, []]} | dict.fromkeys(names, 1.5)
    async with core.database.transaction() as connection:
        await record(connection, "leaderboard.put", "told", before=said, after={"all": [1.5, True]})
        await core.outbox.add(connection, "prize.claimed", said)
        body = json.dumps([{"user_id": user} for user in said["ids"]], ensure_ascii=False, separators=(",", ":"))
        await core.letters.put(connection, [letter(time.now, "block", None, body.encode())])
    for name in names:
        await core.new_eraser().erase(name)
    time.forward(seconds=1)
    assert await core.new_erasure_finisher().finish() == len(names)
    [(before, after)] = await cups.fetch("SELECT before, after FROM audit_log WHERE target = 'told'")
    found = json.loads(before)
    assert found["ids"][:2] == ["x", "y"]
    assert all(name.startswith("erased-") for name in found["ids"][2:])
    assert (found, json.loads(after)) == (said | {"ids": found["ids"]}, {"all": [1.5, True]})
    [(payload,)] = await cups.fetch("SELECT payload FROM webhook_events WHERE type = 'prize.claimed'")
    assert json.loads(payload) == found
    [(letters,)] = await cups.fetch("SELECT body FROM dead_letters")
    assert [each["user_id"] for each in json.loads(letters)] == found["ids"]


@pytest.mark.parametrize("is_archived", [True, False])
async def test_ranks_among_equals_stay_as_they_are(cups: Cups, is_archived: bool) -> None:
    """Of equals the ids decide; the name that stands for an id would stand elsewhere."""
    core, time = cups.core, cups.time
    await core.define("hourly", period="hourly")
    await cups.create(prizes=[{"from": 1, "kind": "gold", "amount": 100}, {"from": 2, "kind": "gold", "amount": 10}])
    time.at(START)
    await cups.run()
    await cups.send(*(score(user, 5, at=START) for user in ("a", "b", "c")))
    await cups.settle()
    if is_archived:
        time.forward(hours=2)
        await core.new_closer().close()
    await core.new_eraser().erase("a")
    time.forward(seconds=1)
    if not is_archived:
        assert await core.new_erasure_finisher().finish() == 0
        await check_invariants(core)
        time.forward(hours=2)
        await core.new_closer().close()
    assert await core.new_erasure_finisher().finish() == 1
    assert [(row.rank, row.user_id) for row in await cups.standings()][1:] == [(2, "b"), (3, "c")]
    archives = await cups.fetch("SELECT ranking_id, rank, user_id FROM archived_entries ORDER BY 1, 2")
    assert [row["user_id"] for row in archives if row["rank"] == 2][-1] == "b"
    assert len(archives) >= 3
    await check_invariants(core)
