"""What a change reaches and what it does not: other occurrences, times that have passed, those who have entered."""

from datetime import timedelta
from typing import Any

import pytest

from grandstand.domain.errors import InvalidError
from tests.tournaments.cups import DAILY, HOUR, SETTLED_AFTER, START, Cups, score
from tests.tournaments.test_edges import code

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
HOURLY = "cron: 0 * * * *"
GOLD = {"from": 1, "kind": "gold", "amount": 500}


async def paid(cups: Cups) -> list[tuple[int, str, int]]:
    return [(prize.occurrence, prize.user_id, prize.amount) for prize in await cups.awarded()]


async def test_no_occurrence_takes_the_scores_of_another(cups: Cups) -> None:
    await cups.create(prizes=[GOLD], repeat=DAILY)
    cups.time.at(START)
    await cups.send(score("ann", 9))
    await cups.settle()
    assert (await cups.lister.get("cup")).occurrence == 2
    cups.time.forward(minutes=1)
    back = {"starts_at": START.isoformat(), "ends_at": (cups.time.now + MINUTE).isoformat()}
    with pytest.raises(InvalidError) as refused:
        await cups.change("cup", **back)
    assert [error.path for error in refused.value.errors] == ["starts_at"]
    within = (START + HOUR - MINUTE).isoformat()
    assert await code(cups.change("cup", starts_at=within)) == "invalid"
    assert (await cups.change("cup", starts_at=(START + HOUR).isoformat())).starts_at == START + HOUR
    await cups.send(score("bob", 1, at=cups.time.now))
    await cups.settle()
    assert await paid(cups) == [(1, "ann", 500), (2, "bob", 500)]
    await cups.check_books()


async def test_a_start_stays_under_scores(cups: Cups) -> None:
    """A score may come early, by clocks that differ; it is not lost by a start that moves."""
    await cups.create(max_attempts=1)
    cups.time.at(START - MINUTE)
    await cups.send(score("ann", 9, at=START + MINUTE))
    assert await code(cups.change("cup", starts_at=(START - MINUTE / 2).isoformat())) == "tournament_has_scores"
    assert (await cups.change("cup", title="Cup", ends_at=(START + 2 * HOUR).isoformat())).players == 1
    await cups.settle()
    assert [row.user_id for row in await cups.standings()] == ["ann"]


async def test_what_has_ended_keeps_its_rules(cups: Cups) -> None:
    await cups.create(prizes=[GOLD], repeat=HOURLY, max_attempts=1, claim_days=3)
    cups.time.at(START)
    await cups.run()
    await cups.send(score("ann", 9), score("bob", 1))
    cups.time.at(START + HOUR)
    await cups.run()
    assert ((await cups.lister.get("cup")).occurrence, (await cups.lister.get("cup", 1)).status) == (2, "ended")
    less = [{"from": 1, "to": 2, "kind": "gold", "amount": 7}]
    changed = await cups.change("cup", prizes=less, max_attempts=None, claim_days=30, join="required")
    assert (changed.occurrence, changed.max_attempts) == (2, None)
    # Late, and by the rules of what it belongs to: one attempt, no entry needed.
    await cups.send(score("bob", 99, at=START + MINUTE), score("cid", 5, at=START + MINUTE))
    cups.time.forward(seconds=SETTLED_AFTER.total_seconds())
    await cups.run()
    assert [(row.user_id, row.score) for row in await cups.standings()] == [("ann", 9), ("cid", 5), ("bob", 1)]
    assert await paid(cups) == [(1, "ann", 500)]
    (prize,) = await cups.awarded()
    assert prize.expires_at - prize.awarded_at == timedelta(days=3)
    first, second = await cups.lister.get("cup", 1), await cups.lister.get("cup", 2)
    assert (first.prizes[0].amount, first.claim_days, second.prizes[0].amount, second.claim_days) == (500, 3, 7, 30)
    assert (await cups.reader.preview("cup", occurrence=1)).total_amounts == {"gold": 500}


async def test_whoever_may_read_a_tournament_may_read_its_past(cups: Cups) -> None:
    await cups.create(repeat=HOURLY, title="Cup")
    cups.time.at(START + HOUR)
    await cups.run()
    await cups.change("cup", visibility="private", title="Secret")
    past = await cups.lister.get("cup", 1)
    assert (past.visibility, past.title) == ("private", "Secret")


async def test_nothing_changes_after_the_end_however_late_the_clock_is(cups: Cups) -> None:
    await cups.create(prizes=[GOLD])
    cups.time.at(START)
    await cups.run()
    cups.time.at(START + HOUR)
    for values in ({"ends_at": (START + 2 * HOUR).isoformat()}, {"prizes": []}, {"title": "x"}):
        assert await code(cups.change("cup", **values)) == "tournament_over"
    assert (await cups.lister.get("cup")).status == "active"


async def test_between_two_occurrences_the_next_is_entered_and_changed(cups: Cups) -> None:
    await cups.create(repeat=DAILY, join="required")
    cups.time.at(START)
    await cups.run()
    cups.time.at(START + HOUR)
    await cups.run()
    assert (await cups.lister.get("cup")).status == "ended"
    assert (await cups.joiner.join("cup", "ann")).occurrence == 2
    assert (await cups.change("cup", max_players=1)).occurrence == 2
    assert await code(cups.joiner.join("cup", "bob")) == "tournament_full"
    assert (await cups.lister.get("cup", 1)).max_players is None


async def test_players_enter_ahead_and_stay(cups: Cups) -> None:
    await cups.create(repeat=DAILY, join="required")
    cups.time.at(START)
    await cups.run()
    assert (await cups.joiner.join("cup", "ann", 2)).occurrence == 2
    assert (await cups.joiner.join("cup", "bob")).occurrence == 1
    assert await code(cups.joiner.join("cup", "ann", 3)) == "occurrence_not_found"
    await cups.change("cup", title="Cup")
    assert (await cups.lister.get("cup", 2)).players == 1
    moved = await cups.change("cup", repeat="cron: 0 20 * * *")
    assert moved.next_starts_at == START + 2 * HOUR
    assert (await cups.lister.get("cup", 2)).players == 1
    cups.time.at(START + HOUR)
    assert await code(cups.joiner.join("cup", "ann", 1)) == "tournament_over"
    cups.time.at(START + 2 * HOUR)
    await cups.run()
    await cups.send(*(score(user, 1, at=cups.time.now) for user in ("ann", "bob")))
    assert [entry.user_id for entry in (await cups.reader.page("cup")).entries] == ["ann"]
    await cups.change("cup", repeat=None)
    assert await code(cups.joiner.join("cup", "ann", 3)) == "occurrence_not_found"


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        ({"operator": "best"}, [("cid", 60), ("ann", 50), ("dan", 1)]),
        ({"operator": "sum"}, [("ann", 70), ("cid", 60), ("dan", 1)]),
        ({"operator": "latest"}, [("cid", 60), ("ann", 20), ("dan", 1)]),
        ({"operator": "count", "field": None}, [("ann", 2), ("dan", 1), ("cid", 1)]),
        ({"operator": "best", "max_attempts": 1}, [("cid", 60), ("ann", 50), ("dan", 1)]),
    ],
)
async def test_an_earlier_end_takes_back_what_came_after_it(
    cups: Cups, rules: dict[str, Any], wanted: list[tuple[str, int]]
) -> None:
    """A clock may be ahead: what it says to be later than an end that was moved does not count, in whatever order."""
    await cups.create(prizes=[GOLD], **rules)
    cups.time.at(START + 10 * MINUTE)
    await cups.run()
    now = cups.time.now
    await cups.send(score("ann", 50, at=now - 5 * MINUTE))
    await cups.send(score("ann", 20, at=now - 4 * MINUTE), score("ann", 99, at=now + 5 * MINUTE))
    await cups.send(score("bob", 80, at=now + 5 * MINUTE), score("cid", 60, at=now - MINUTE))
    await cups.send(score("dan", 1, at=now - 2 * MINUTE))
    await cups.keeper.end("cup")
    await cups.send(score("eve", 70, at=now + 5 * MINUTE))
    await cups.settle()
    assert [(row.user_id, row.score) for row in await cups.standings()] == wanted
    assert [(entry.user_id, entry.score) for entry in (await cups.reader.page("cup")).entries] == wanted
    assert [prize.user_id for prize in await cups.awarded()] == [wanted[0][0]]
    assert await cups.core.new_reconciler().reconcile() == 0
    await cups.check_books()


async def test_cancelled_shows_what_ran(cups: Cups) -> None:
    await cups.create(repeat=DAILY)
    cups.time.at(START)
    await cups.run()
    await cups.send(score("ann", 1))
    assert (await cups.keeper.cancel("cup")).occurrence == 1
    view = await cups.lister.get("cup")
    assert (view.occurrence, view.status, view.players) == (1, "cancelled", 1)
    assert (await cups.reader.page("cup")).total == 1


async def test_scores_count_while_the_clock_catches_up(cups: Cups) -> None:
    """Nothing ran for two days; what runs now takes scores before the steps of what came before are taken."""
    await cups.create(prizes=[GOLD], repeat=HOURLY)
    cups.time.at(START)
    await cups.run()
    cups.time.at(START + 48 * HOUR + 5 * MINUTE)
    runner = cups.other().runner

    async def step(items: Any) -> Any:
        # Whoever plays meanwhile.
        await cups.send(score("ann", 3, at=cups.time.now - MINUTE / 2))
        runner._step = original  # type: ignore[method-assign]
        return await original(items)

    original = runner._step
    runner._step = step  # type: ignore[method-assign]
    await runner.run()
    assert (await cups.lister.get("cup")).occurrence == 49
    assert [entry.user_id for entry in (await cups.reader.page("cup")).entries] == ["ann"]
    rows = await cups.fetch("SELECT status, count(*) FROM occurrences GROUP BY status ORDER BY status")
    assert [tuple(row) for row in rows] == [("active", 1), ("scheduled", 1), ("settled", 48)]
    await cups.check_books()


async def test_steps_that_fail_hold_up_nothing(cups: Cups, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grandstand.operations.run_tournaments._ROUND_MAX", 3)
    for number in range(4):
        await cups.create(f"broken-{number}", starts_at=START - MINUTE)
    await cups.create("sound")
    cups.time.at(START)
    await cups.core.database.pool.execute(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;"
        "CREATE TRIGGER broken BEFORE UPDATE ON occurrences FOR EACH ROW WHEN (old.tournament_id LIKE 'broken%') "
        "EXECUTE FUNCTION fail()"
    )
    assert await cups.run() == 1
    assert (await cups.lister.get("sound")).status == "active"
