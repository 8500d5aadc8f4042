"""Tournaments that repeat, and a deployment that was off for a week."""

from datetime import timedelta

import pytest

from grandstand.domain.errors import ConflictError
from tests.tournaments.cups import DAILY, HOUR, START, Cups, score

DAY = timedelta(days=1)
GOLD = {"from": 1, "kind": "gold", "amount": 10}


async def statuses(cups: Cups, cup: str = "cup") -> list[str]:
    rows = await cups.fetch("SELECT status FROM occurrences WHERE tournament_id = $1 ORDER BY occurrence", cup)
    return [row[0] for row in rows]


async def test_each_occurrence_has_its_own_players_ranks_and_prizes(cups: Cups) -> None:
    view = await cups.create(repeat=DAILY, prizes=[GOLD], max_attempts=1)
    assert view.next_starts_at == START + DAY
    for number, winner in enumerate(["ann", "bob", "ann"]):
        cups.time.at(START + number * DAY)
        await cups.run()
        view = await cups.lister.get("cup")
        assert (view.status, view.occurrence, view.players) == ("active", number + 1, 0)
        assert view.next_starts_at == START + (number + 1) * DAY
        await cups.send(score(winner, 10, at=cups.time.now), score("zoe", 1, at=cups.time.now))
        assert (await cups.reader.user("cup", winner)).occurrence == number + 1
        await cups.settle()
    assert [(prize.occurrence, prize.user_id) for prize in await cups.awarded()] == [(1, "ann"), (2, "bob"), (3, "ann")]
    assert await statuses(cups) == ["settled"] * 3 + ["scheduled"]
    page = await cups.reader.page("cup", occurrence=2)
    assert [entry.user_id for entry in page.entries] == ["bob", "zoe"]
    await cups.check_books()


async def test_nothing_ran_for_a_week(cups: Cups) -> None:
    """All that was due is done step by step in the order of time, over all tournaments."""
    await cups.create(repeat=DAILY, prizes=[GOLD])
    await cups.create("other", starts_at=START + DAY, ends_at=START + 5 * DAY, prizes=[GOLD])
    cups.time.at(START)
    await cups.run()
    await cups.send(score("ann", 5))
    cups.time.at(START + 7 * DAY - HOUR)
    # Scores of the days in between, from a client that was offline, come too late for all but the running one.
    await cups.send(score("bob", 1, at=START + 3 * DAY), score("bob", 1, at=START + 4 * DAY, cup="other"))
    await cups.other().run()
    assert await statuses(cups) == ["settled"] * 7 + ["scheduled"]
    assert await statuses(cups, "other") == ["settled"]
    assert [(prize.occurrence, prize.user_id) for prize in await cups.awarded()] == [(1, "ann")]
    rows = await cups.fetch(
        "SELECT type, payload->>'tournament_id', (payload->>'occurrence')::integer FROM webhook_events "
        "WHERE type LIKE 'tournament.%' ORDER BY ctid"
    )
    wanted = [("started", "cup", 1)]
    for number in range(1, 7):
        wanted += [("settled", "cup", number), ("started", "cup", number + 1)]
        if number == 1:
            wanted.append(("started", "other", 1))
        if number == 5:
            wanted.append(("settled", "other", 1))
    wanted.append(("settled", "cup", 7))
    told = [(row[0].removeprefix("tournament."), row[1], row[2]) for row in rows]
    assert told == wanted
    assert await cups.run() == 0


async def test_cancelled_it_does_not_come_again(cups: Cups) -> None:
    await cups.create(repeat=DAILY)
    cups.time.at(START)
    await cups.run()
    view = await cups.keeper.cancel("cup")
    assert (view.status, view.next_starts_at) == ("cancelled", None)
    cups.time.forward(days=3)
    assert await cups.run() == 0
    assert await statuses(cups) == ["cancelled", "cancelled"]


async def test_a_longer_run_moves_the_next_one(cups: Cups) -> None:
    await cups.create(repeat=DAILY, prizes=[GOLD])
    cups.time.at(START)
    await cups.run()
    view = await cups.change("cup", ends_at=(START + DAY + HOUR).isoformat())
    assert view.next_starts_at == START + 2 * DAY
    cups.time.at(START + DAY)
    assert await cups.run() == 0
    await cups.send(score("ann", 1, at=START + DAY))
    assert (await cups.reader.user("cup", "ann")).occurrence == 1
    await cups.settle()
    assert [(prize.occurrence, prize.user_id) for prize in await cups.awarded()] == [(1, "ann")]


async def test_repetition_ends_and_begins_by_a_change(cups: Cups) -> None:
    await cups.create(repeat=DAILY)
    cups.time.at(START)
    await cups.run()
    assert (await cups.change("cup", repeat=None)).next_starts_at is None
    assert (await cups.change("cup", repeat="cron: 0 9 * * *")).next_starts_at == START + timedelta(hours=15)
    assert (await cups.change("cup", repeat=None)).next_starts_at is None
    await cups.settle()
    cups.time.forward(days=3)
    assert await cups.run() == 0
    assert await statuses(cups) == ["settled"]
    with pytest.raises(ConflictError):
        await cups.change("cup", repeat=DAILY)


async def test_ended_by_hand_the_next_one_comes_when_it_was_to(cups: Cups) -> None:
    await cups.create(ends_at=START + 2 * DAY, repeat=DAILY)
    cups.time.at(START)
    await cups.run()
    cups.time.forward(minutes=5)
    assert (await cups.keeper.end("cup")).next_starts_at == START + 2 * DAY
    await cups.settle()
    assert ((await cups.lister.get("cup")).status, (await cups.lister.get("cup")).starts_at) == (
        "scheduled", START + 2 * DAY,
    )  # fmt: skip


async def test_the_start_moves_while_a_runner_looks_away(cups: Cups) -> None:
    """What a runner has read before a change is not what it acts on."""
    await cups.create(repeat=DAILY)
    cups.time.at(START)
    runner = cups.runner
    (due,) = await runner._due()
    cups.time.forward(minutes=-1)
    await cups.change("cup", starts_at=(START + HOUR / 2).isoformat())
    cups.time.at(START)
    assert not await runner._step([due.item])
    assert await statuses(cups) == ["scheduled"]
    cups.time.at(START + HOUR)
    assert await cups.run() == 2
    assert await statuses(cups) == ["ended", "scheduled"]
