"""Events that fail: found among their neighbours, tried again, and kept as dead letters, while all others go on."""

import time
from datetime import timedelta
from typing import Any

import pytest

from grandstand import clock
from grandstand.domain.event_model import join_entry
from grandstand.storage.event_stream import HIGH, LOW
from grandstand.telemetry import metrics
from grandstand.workers.doubts import Doubts
from grandstand.workers.event_consumer import EventConsumer
from grandstand.workers.isolation import PoisonIsolator
from tests.support.core import NOON, Core, event
from tests.support.poison import POISON, append, poison, text_of
from tests.support.waiting import eventually_async
from tests.support.workers import consumer, running

pytestmark = pytest.mark.anyio

_EVENTS = 10_000
_BATCH = _EVENTS // 5
_ROUNDS = 3
_SLOWDOWN_MAX = 1.6
"""A tenth is for 100,000 events, where the batch with the bad one is one of 25; here it is one of five."""

QUICK: dict[str, Any] = {"retry_seconds": 0.05, "patience_seconds": 0.2}


async def letters(core: Core) -> list[Any]:
    found: list[Any] = await core.database.pool.fetch("SELECT * FROM dead_letters ORDER BY dead_letter_id")
    return found


async def is_drained(core: Core) -> bool:
    return (await core.stream.depth()).depth == 0


def make_due(worker: EventConsumer) -> bool:
    """Make every attempt due that the worker has put off; return whether there is one."""
    worker._retries._waiting = [one._replace(due=0) for one in worker._retries._waiting]
    return bool(worker._retries._waiting)


def hasten(worker: EventConsumer) -> None:
    """Make every attempt due that the worker has put off, and those that follow it."""
    make_due(worker)
    worker._retries._base_seconds = 0


def count(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"{name}_total", labels) or 0


@pytest.mark.parametrize("kind", POISON)
async def test_one_bad_event_among_many_is_a_dead_letter_and_all_others_are_ranked(core: Core, kind: str) -> None:
    await core.define("days", period="daily", timezone="America/New_York")
    good = [event(f"p{number}", number) for number in range(300)]
    bad = poison(kind)
    texts = [text_of(item) for item in good]
    texts.insert(177, bad)
    for start in range(0, 301, 43):
        await append(core, texts[start : start + 43])
    async with running(consumer(core, **QUICK)):
        await eventually_async(lambda: is_drained(core))
    (letter,) = await letters(core)
    assert letter["body"] == bad
    assert (letter["form"], letter["priority"], letter["received_at"], letter["status"]) == (
        "event",
        "high",
        NOON,
        "dead",
    )
    assert letter["attempts"] == 3
    assert letter["error"]
    assert letter["message"]
    assert letter["first_failed_at"] < letter["last_failed_at"]
    await core.check("global", good)
    assert await core.count_events() == 300
    assert await core.valkey.xlen(f"{core.prefix}:{{events}}:high") == 0


async def test_what_can_be_read_of_a_bad_event_stands_in_its_letter(core: Core) -> None:
    await append(core, [poison()], priority=LOW)
    await append(core, [poison("NUL in the user")])
    await append(core, [poison("no user")])
    async with running(consumer(core, **QUICK)):
        await eventually_async(lambda: is_drained(core))
    found = {letter["user_id"]: letter for letter in await letters(core)}
    assert found.keys() == {"eve", "e\ufffde", None}
    assert {letter["event_type"] for letter in found.values()} == {"game_ended"}
    assert {letter["occurred_at"] for letter in found.values()} == {NOON}
    assert found["eve"]["priority"] == "low"
    assert found["eve"]["error"] == "UntranslatableCharacterError"
    assert found[None]["error"] == "ValidationError"


@pytest.mark.parametrize("body", [b"not json", b'{"an":"object"}', b"[" * 100_000, b"", b"\xff\x00"])
async def test_a_block_that_cannot_be_read_is_a_dead_letter_of_its_own(core: Core, body: bytes) -> None:
    good = [event(f"p{number}", number) for number in range(6)]
    await core.stream.append(good[:3], [], NOON)
    await core.streams.append_encoded(HIGH, 7, body, NOON)
    await core.stream.append(good[3:], [], NOON)
    async with running(consumer(core, **QUICK)):
        await eventually_async(lambda: is_drained(core))
    (letter,) = await letters(core)
    assert (letter["form"], letter["body"], letter["events"]) == ("block", body, 7)
    await core.check("global", good)


@pytest.mark.parametrize(
    ("entry", "letters_of"),
    [
        ({"odd": "x"}, [1]),
        ({"n": 3, "r": 1}, [3]),
        ({"n": "-1", "r": "9" * 30, "e": "x", "t": ""}, [1]),
        ({"n": "9" * 5000, "e": b"\x28\xb5\x2f\xfd"}, [1]),
        ({"e": join_entry([text_of(event("odd", 5))])}, []),
    ],
)
async def test_an_entry_that_nobody_of_us_wrote_is_a_dead_letter_unless_it_holds_events(
    core: Core, entry: dict[Any, Any], letters_of: list[int]
) -> None:
    good = [event(f"p{number}", number) for number in range(6)]
    await core.stream.append(good[:3], [], NOON)
    await core.valkey.xadd(f"{core.prefix}:{{events}}:high", entry)
    assert (await core.stream.depth()).lag_seconds >= 0
    await core.stream.append(good[3:], [], NOON)

    async def is_empty() -> bool:
        await core.stream.depth()
        return await core.valkey.xlen(f"{core.prefix}:{{events}}:high") == 0

    async with running(consumer(core, **QUICK)):
        await eventually_async(is_empty)
    found = await letters(core)
    assert [(letter["form"], letter["events"]) for letter in found] == [("block", events) for events in letters_of]
    assert all("e" in entry or b"no field e" in letter["body"] for letter in found)
    await core.check("global", good if letters_of else [*good, event("odd", 5)])
    assert (await core.stream.inspect()).missing == (0,) * 6
    assert (await core.stream.depth()).depth == 0


async def test_the_others_do_not_wait_for_the_attempts(core: Core) -> None:
    """The bad event's next attempt lies far ahead: everything else is ranked, and its own block stays delivered."""
    good = [event(f"p{number}", number) for number in range(40)]
    await append(core, [text_of(item) for item in good[:10]])
    await append(core, [*(text_of(item) for item in good[10:20]), poison(), *(text_of(item) for item in good[20:30])])
    async with running(consumer(core, retry_seconds=3600)):

        async def is_only_the_bad_one_left() -> bool:
            return (await core.stream.depth()).depth == 21 and await core.count_events() == 30

        await eventually_async(is_only_the_bad_one_left)
        await append(core, [text_of(item) for item in good[30:]])

        async def is_next_block_done() -> bool:
            return (await core.stream.depth()).depth == 21 and await core.count_events() == 40

        await eventually_async(is_next_block_done)
    assert await letters(core) == []
    await core.check("global", good)


async def test_an_event_that_fails_for_a_while_is_ranked_in_the_end(core: Core) -> None:
    """What refuses it goes away before its attempts are used up."""
    await core.database.pool.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON entries FOR EACH ROW WHEN (NEW.user_id = 'ann')"
        "EXECUTE FUNCTION refuse()"
    )
    events = [event("ann", 5), event("bob", 6)]
    retried = count("grandstand_events_retried")
    try:
        await core.stream.append(events, [], NOON)
        worker = consumer(core, retry_seconds=3600)
        async with running(worker):
            await eventually_async(lambda: make_due(worker), what="its first attempt has failed")
            await eventually_async(lambda: count("grandstand_events_retried") > retried)
            assert await core.count_events() == 1
            await core.database.pool.execute("DROP TRIGGER refuse ON entries")
            hasten(worker)
            await eventually_async(lambda: is_drained(core))
    finally:
        await core.database.pool.execute("DROP FUNCTION refuse CASCADE")
    assert await letters(core) == []
    await core.check("global", events)


async def test_an_event_that_the_database_leaves_out_without_a_word_is_a_dead_letter(core: Core) -> None:
    """Else it would be ranked, and gone from the stream, and nowhere stored."""
    await core.apply(event("first", 1))
    await core.database.pool.execute(
        "CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
        "CREATE TRIGGER leave_out BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.user_id = 'ann')"
        "EXECUTE FUNCTION leave_out()"
    )
    good = [event(f"p{number}", number) for number in range(20)]
    try:
        await core.stream.append([*good, event("ann", 5)], [], NOON)
        async with running(consumer(core, **QUICK)):
            await eventually_async(lambda: is_drained(core))
    finally:
        await core.database.pool.execute("DROP FUNCTION leave_out CASCADE")
    assert [(letter["user_id"], letter["error"]) for letter in await letters(core)] == [("ann", "RowsNotStoredError")]
    assert await core.count_events() == 21
    assert {entry.user_id for entry in await core.walk("global")} == {"first", *(item.user_id for item in good)}


async def test_many_bad_events_at_once(core: Core) -> None:
    good = [event(f"p{number}", number) for number in range(150)]
    bad = [poison(kind) for kind in POISON for _ in range(20)]
    texts = sorted([*(text_of(item) for item in good), *bad], key=hash)
    for start in range(0, len(texts), 30):
        await append(core, texts[start : start + 30])
    split = count("grandstand_batches_split")
    dead = sum(count("grandstand_dead_letters", reason=reason) for reason in ("refused", "unreadable", "failed"))
    async with running(consumer(core, **QUICK)):
        await eventually_async(lambda: is_drained(core), 30)
    assert sorted(letter["body"] for letter in await letters(core)) == sorted(bad)
    await core.check("global", good)
    assert count("grandstand_batches_split") > split
    after = sum(count("grandstand_dead_letters", reason=reason) for reason in ("refused", "unreadable", "failed"))
    assert after - dead == len(bad)


async def test_several_workers_bury_an_event_once(core: Core) -> None:
    """Its delivery is taken from a worker that is not dead, so two have it."""
    good = [event(f"p{number}", number) for number in range(20)]
    await core.define("sum", operator="sum")
    bad = poison()
    await core.stream.create_group()
    await append(core, [*(text_of(item) for item in good), bad])
    blocks = await core.stream.read("slow", HIGH, 1)
    slow = consumer(core, name="slow", **QUICK)
    slow._held = blocks
    async with running(slow), running(consumer(core, name="other", reclaim_idle_seconds=0.01, **QUICK)):
        await eventually_async(lambda: is_drained(core))
    (letter,) = await letters(core)
    assert letter["body"] == bad
    await core.check("sum", good)


async def test_an_engine_that_is_away_is_no_reason_to_bury(core: Core) -> None:
    """While nothing can be stored no event is to blame."""
    events = [event(f"p{number}", number) for number in range(5)]
    await core.database.pool.execute("ALTER TABLE entries RENAME TO hidden")
    split = count("grandstand_batches_split")
    try:
        await core.stream.append(events, [], NOON)
        async with running(consumer(core, **QUICK)):
            with pytest.raises(AssertionError):
                await eventually_async(lambda: letters(core), 1)
            await core.database.pool.execute("ALTER TABLE hidden RENAME TO entries")
            await eventually_async(lambda: is_drained(core))
    finally:
        await core.database.pool.execute("ALTER TABLE IF EXISTS hidden RENAME TO entries")
    assert await letters(core) == []
    assert count("grandstand_batches_split") == split
    await core.check("global", events)


async def test_nothing_is_acknowledged_before_its_letter_is_kept(core: Core) -> None:
    await append(core, [poison()])
    await core.database.pool.execute("ALTER TABLE dead_letters RENAME TO hidden")
    retried = count("grandstand_events_retried")
    try:
        async with running(consumer(core, **QUICK)):
            await eventually_async(lambda: count("grandstand_events_retried") > retried + 3)
            assert (await core.stream.depth()).depth == 1
            await core.database.pool.execute("ALTER TABLE hidden RENAME TO dead_letters")
            await eventually_async(lambda: is_drained(core))
    finally:
        await core.database.pool.execute("ALTER TABLE IF EXISTS hidden RENAME TO dead_letters")
    assert len(await letters(core)) == 1


async def test_a_period_closes_once_its_bad_event_is_a_dead_letter(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    await core.define("hours", period="hourly")
    before = NOON - timedelta(hours=3)
    good = event("ann", 5, at=before)
    await append(core, [text_of(good), poison()], received_at=before)
    monkeypatch.setattr(clock, "now", lambda: NOON)
    closer = core.new_closer()
    worker = consumer(core, retry_seconds=3600)
    async with running(worker):
        await eventually_async(lambda: core.count_events())
        assert await closer.close() == 0, "the bad event may still be counted in it"
        hasten(worker)
        await eventually_async(lambda: is_drained(core))
        assert len(await letters(core)) == 1
        assert await closer.close() == 1


@pytest.mark.parametrize(
    ("kind", "transactions_max"),
    [("NUL in the payload", 3), ("an id that is none", 40), ("no user", 40), ("a time before time zones", 40)],
)
async def test_a_bad_event_is_found_in_few_transactions(core: Core, kind: str, transactions_max: int) -> None:
    """One of 4,000: the database names the one that it refuses, and any other costs tens, not thousands."""

    class Counting:
        calls = 0

        async def apply(self, blocks: Any) -> Any:
            Counting.calls += 1
            return await core.applier.apply(blocks)

    await core.stream.create_group()
    texts = [text_of(event(f"p{number % 50}", number)) for number in range(4000)]
    texts[1234] = poison(kind)
    for start in range(0, 4000, 100):
        await append(core, texts[start : start + 100])
    counting: Any = Counting()
    outcome = await PoisonIsolator(counting, Doubts(counting, 0)).apply(await core.stream.read("w", HIGH, 100))
    assert outcome.applied.stored == 3999
    (failure,) = outcome.failures
    assert failure.part.data == join_entry([texts[1234]])
    assert Counting.calls <= transactions_max


async def test_one_bad_event_costs_little(core: Core) -> None:
    """The same events with and without one among them, turn by turn; what is compared is the worker's own work."""
    await core.stream.create_group()
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for number in range(_ROUNDS):
        for is_poisoned in sorted((False, True), reverse=bool(number % 2)):
            texts = [text_of(event(f"p{index % 500}", index)) for index in range(_EVENTS)]
            if is_poisoned:
                texts[_EVENTS // 2] = poison()
            for start in range(0, _EVENTS, 100):
                await append(core, texts[start : start + 100])
            known = await core.count_events()
            wanted = known + _EVENTS - is_poisoned
            began = time.process_time()
            worker = consumer(core, batch_max=_BATCH)
            async with running(worker):
                await eventually_async(lambda wanted=wanted: is_stored(core, wanted), 60)
                seconds[is_poisoned].append(time.process_time() - began)
                # What is retried is no part of the throughput, so nobody waits for its time.
                hasten(worker)
                await eventually_async(lambda: is_drained(core), 30)
    assert len(await letters(core)) == _ROUNDS
    slowdown = min(seconds[True]) / min(seconds[False])
    assert slowdown < _SLOWDOWN_MAX, f"{slowdown:.2f} times as long: {seconds}"


async def is_stored(core: Core, events: int) -> bool:
    return await core.count_events() == events
