"""The corners: empty, tiny and tied tournaments, wrong definitions, and who may join when."""

from datetime import timedelta
from typing import Any

import pytest

from grandstand.domain.errors import ConflictError, GrandstandError, InvalidError, MalformedError, NotFoundError
from tests.tournaments.cups import DAILY, GRACE, HOUR, SETTLED_AFTER, START, Cups, score, together

GOLD = {"from": 1, "to": 3, "kind": "gold", "amount": 10}
HALF = {"top_percent": 50, "kind": "ticket", "amount": 1}
MINUTE = timedelta(minutes=1)


async def paid(cups: Cups, cup: str = "cup") -> dict[tuple[str, str], int]:
    return {(prize.user_id, prize.kind): prize.amount for prize in await cups.awarded(cup)}


async def test_nobody_plays(cups: Cups) -> None:
    await cups.create(prizes=[GOLD, HALF])
    await cups.settle()
    view = await cups.lister.get("cup")
    assert (view.status, view.players) == ("settled", 0)
    assert (await cups.standings(), await paid(cups)) == ([], {})
    assert (await cups.told("tournament.settled"))[0]["prizes"] == 0
    page = await cups.reader.page("cup")
    assert (page.total, page.entries) == (0, [])
    with pytest.raises(NotFoundError) as caught:
        await cups.reader.user("cup", "ann")
    assert caught.value.code == "not_ranked"


async def test_one_player_is_in_the_top_percent(cups: Cups) -> None:
    await cups.create(prizes=[{"top_percent": 1, "kind": "gold", "amount": 7}, {**HALF, "top_percent": 100}])
    cups.time.at(START)
    await cups.send(score("ann", 3))
    await cups.settle()
    assert await paid(cups) == {("ann", "gold"): 7, ("ann", "ticket"): 1}


async def test_fewer_players_than_ranks(cups: Cups) -> None:
    await cups.create(prizes=[GOLD, {"from": 5, "to": 10, "kind": "silver", "amount": 2}, HALF])
    cups.time.at(START)
    await cups.send(score("ann", 3), score("bob", 2))
    await cups.settle()
    assert await paid(cups) == {("ann", "gold"): 10, ("bob", "gold"): 10, ("ann", "ticket"): 1}


async def test_equal_scores_go_by_time_then_by_user(cups: Cups) -> None:
    await cups.create(prizes=[{"from": 1, "kind": "gold", "amount": 10}, {"from": 2, "kind": "gold", "amount": 5}])
    cups.time.at(START + MINUTE)
    await cups.send(score("cid", 5), score("bob", 5), score("éva", 5), score("ann", 5, at=START + MINUTE))
    await cups.settle()
    assert [row.user_id for row in await cups.standings()] == ["bob", "cid", "éva", "ann"]
    assert await paid(cups) == {("bob", "gold"): 10, ("cid", "gold"): 5}


async def test_a_lower_score_may_be_better(cups: Cups) -> None:
    await cups.create(order="asc", prizes=[GOLD])
    cups.time.at(START)
    await cups.send(score("ann", -3), score("bob", 2), score("cid", 9), score("dan", 10))
    await cups.settle()
    assert [row.user_id for row in await cups.standings()] == ["ann", "bob", "cid", "dan"]
    assert {user for user, _ in await paid(cups)} == {"ann", "bob", "cid"}


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"ends_at": START}, "ends_at"),
        ({"ends_at": START - HOUR}, "ends_at"),
        ({"starts_at": START - 3 * HOUR, "ends_at": START - 2 * HOUR}, "ends_at"),
        ({"starts_at": "2026-11-02T18:00:00"}, "starts_at"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"ends_at": START + timedelta(days=4000)}, "ends_at"),
        ({"operator": "median"}, "operator"),
        ({"event_type": "no spaces"}, "event_type"),
        ({"event_type": "grandstand.score"}, "event_type"),
        ({"join": "invited"}, "join"),
        ({"max_players": 0}, "max_players"),
        ({"max_attempts": -1}, "max_attempts"),
        ({"claim_days": 0}, "claim_days"),
        ({"repeat": "weekly"}, "repeat"),
        ({"repeat": "cron: 0 0 31 2 *"}, "repeat"),
        ({"repeat": "cron: 61 * * * *"}, "repeat"),
        ({"id": "no/slash"}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"color": "red"}, "color"),
        ({"prizes": [{**GOLD, "amount": 0}]}, "prizes[0].amount"),
        ({"prizes": [GOLD, {**HALF, "amount": -5}]}, "prizes[1].amount"),
        ({"prizes": [{**GOLD, "amount": 2**53}]}, "prizes[0].amount"),
        ({"prizes": [{**GOLD, "amount": 1.5}]}, "prizes[0].amount"),
        ({"prizes": [{**GOLD, "kind": ""}]}, "prizes[0].kind"),
        ({"prizes": [{**GOLD, "kind": "two words"}]}, "prizes[0].kind"),
        ({"prizes": [{**GOLD, "from": 0}]}, "prizes[0].from"),
        ({"prizes": [{**GOLD, "to": 0}]}, "prizes[0].to"),
        ({"prizes": [{"kind": "gold", "amount": 1}]}, "prizes[0].from"),
        ({"prizes": [{**GOLD, "top_percent": 5}]}, "prizes[0]"),
        ({"prizes": [{**HALF, "top_percent": 0}]}, "prizes[0].top_percent"),
        ({"prizes": [{**HALF, "top_percent": 100.5}]}, "prizes[0].top_percent"),
        ({"prizes": [GOLD, {**GOLD, "from": 3, "to": 9}]}, "prizes[1]"),
        ({"prizes": [HALF, {**GOLD, "kind": "ticket"}]}, "prizes[1]"),
        ({"prizes": [{**GOLD, "metadata": {"text": "x" * 5000}}]}, "prizes[0].metadata"),
        ({"prizes": [{**GOLD, "metadata": {"text": "\x00"}}]}, "prizes[0].metadata"),
        ({"title": "\x00"}, "title"),
        ({"where": {"mode": "\x00"}}, "where.mode"),
    ],
)
async def test_wrong_definitions_name_the_field(cups: Cups, values: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidError) as caught:
        await cups.create(**values)
    assert [error.path for error in caught.value.errors] == [path]
    assert (await cups.lister.list(None, limit=10, cursor=None)).tournaments == []


async def test_gaps_and_several_kinds_a_rank_are_fine(cups: Cups) -> None:
    await cups.create(prizes=[{"from": 1, "kind": "gold", "amount": 1}, {**GOLD, "from": 9, "to": 9}, HALF])


async def test_a_body_that_is_no_object(cups: Cups) -> None:
    with pytest.raises(MalformedError):
        await cups.keeper.create(b"{")
    with pytest.raises(InvalidError):
        await cups.keeper.create(b"[]")


async def test_an_id_is_taken_once(cups: Cups) -> None:
    await cups.create()
    with pytest.raises(ConflictError) as caught:
        await cups.create()
    assert caught.value.code == "tournament_exists"
    made = await cups.keeper.create(
        b'{"starts_at":"2026-11-02T18:00:00Z","ends_at":"2026-11-02T19:00:00Z","event_type":"e","operator":"count"}'
    )
    assert len(made.id) == 32


async def test_a_start_in_the_past_takes_scores_at_once(cups: Cups) -> None:
    cups.time.at(START + 30 * MINUTE)
    await cups.create(prizes=[GOLD])
    # Before any step of the clock, and from before the tournament was made.
    await cups.send(score("ann", 1, at=START), score("bob", 9, at=START - MINUTE))
    await cups.run()
    assert (await cups.lister.get("cup")).status == "active"
    await cups.settle()
    assert await paid(cups) == {("ann", "gold"): 10}


async def test_scores_count_in_the_window_and_until_the_grace_is_over(cups: Cups) -> None:
    await cups.create()
    end = START + HOUR
    just_before = end - timedelta(microseconds=1)
    cups.time.at(START)
    early = await cups.send(score("early", at=START - timedelta(microseconds=1)), score("first", at=START))
    cups.time.at(end + GRACE - timedelta(microseconds=1))
    await cups.run()
    late = await cups.send(score("last", at=just_before), score("over", at=end))
    cups.time.at(end + GRACE)
    too_late = await cups.send(score("late", at=just_before))
    await cups.settle()
    after = await cups.send(score("after", at=just_before))
    assert {row.user_id for row in await cups.standings()} == {"first", "last"}
    key = "tournament:cup"
    assert [early.unranked, late.unranked] == [{(key, "outside_tournament"): 1}] * 2
    assert too_late.unranked == {(key, "late"): 1}
    assert sum(after.unranked.values()) == 1
    assert (await cups.lister.get("cup")).players == 2


async def test_what_lies_in_the_stream_holds_up_settlement(cups: Cups) -> None:
    await cups.create()
    cups.time.at(START + HOUR)
    await cups.append(score("ann", at=START))
    cups.time.forward(days=2)
    await cups.run()
    assert (await cups.lister.get("cup")).status == "ended"
    await cups.process()
    await cups.run()
    assert (await cups.lister.get("cup")).status == "settled"
    assert [row.user_id for row in await cups.standings()] == ["ann"]


async def test_a_score_after_settlement_changes_nothing(cups: Cups) -> None:
    """A worker that was away so long that nobody knew of its batch finds the ranking closed, an empty one too."""
    await cups.create(max_attempts=1, prizes=[GOLD])
    await cups.settle()
    cups.time.at(START + MINUTE)
    applied = await cups.send(score("ann", 5))
    assert sum(applied.unranked.values()) == 1
    assert (await cups.lister.get("cup")).players == 0
    assert (await cups.reader.page("cup")).entries == []


async def test_attempts_over_the_limit_are_stored_and_not_scored(cups: Cups) -> None:
    await cups.create(max_attempts=2, operator="sum")
    cups.time.at(START + 10 * MINUTE)
    applied = await cups.send(
        score("ann", 100, at=START + 3 * MINUTE), score("ann", 10, at=START + MINUTE), score("ann", 1, at=START),
        score("bob", 5),
    )  # fmt: skip
    assert (applied.stored, applied.unranked) == (4, {("tournament:cup", "attempts_exhausted"): 1})
    again = await cups.send(score("ann", 1000))
    assert again.unranked == {("tournament:cup", "attempts_exhausted"): 1}
    await cups.send(score("ann", "no number"), score("bob", "no number"), score("bob", 2))
    found = await cups.reader.user("cup", "ann")
    assert (found.score, found.attempts) == (11, 2)
    found = await cups.reader.user("cup", "bob")
    assert (found.score, found.attempts) == (7, 2)
    assert await cups.core.count_events() == 8


async def test_delivered_twice_is_one_attempt(cups: Cups) -> None:
    await cups.create(max_attempts=2, operator="sum")
    cups.time.at(START)
    event = score("ann", 10)
    assert (await cups.send(event, event)).duplicates == 1
    assert (await cups.send(event)).duplicates == 1
    assert (await cups.send(score("ann", 1))).unranked == {}
    assert (await cups.reader.user("cup", "ann")).score == 11


async def test_joining(cups: Cups) -> None:
    await cups.create(join="required", max_players=2)
    first = await cups.joiner.join("cup", "ann")
    assert first.joined_at == cups.time.now
    cups.time.at(START)
    assert await cups.joiner.join("cup", "ann") == first
    applied = await cups.send(score("ann", 1), score("bob", 2))
    assert applied.unranked == {("tournament:cup", "not_joined"): 1}
    await cups.joiner.join("cup", "bob")
    await cups.send(score("bob", 3))
    assert await code(cups.joiner.join("cup", "cid")) == "tournament_full"
    assert await cups.joiner.join("cup", "ann")
    assert (await cups.lister.get("cup")).players == 2
    assert await code(cups.joiner.join("cup", "\x00")) == "invalid"
    assert await code(cups.joiner.join("none", "ann")) == "tournament_not_found"
    cups.time.at(START + HOUR)
    assert await code(cups.joiner.join("cup", "ann")) == "tournament_over"
    await cups.settle()
    assert await code(cups.joiner.join("cup", "dan")) == "tournament_over"
    assert {(row.user_id, row.score) for row in await cups.standings()} == {("ann", 1), ("bob", 3)}


async def test_an_open_tournament_is_full(cups: Cups) -> None:
    await cups.create(max_players=2)
    await cups.joiner.join("cup", "zoe")
    cups.time.at(START)
    applied = await cups.send(score("ann", 1), score("bob", 2), score("zoe", 3))
    assert applied.unranked == {("tournament:cup", "tournament_full"): 1}
    assert {entry.user_id for entry in (await cups.reader.page("cup")).entries} == {"ann", "zoe"}
    assert (await cups.lister.get("cup")).players == 2


async def test_many_join_the_last_places_at_once(cups: Cups) -> None:
    await cups.create(join="required", max_players=10)
    results = await together(*(cups.joiner.join("cup", f"u{number}") for number in range(40)))
    refused = [result.code for result in results if isinstance(result, ConflictError)]
    assert refused == ["tournament_full"] * 30
    assert (await cups.lister.get("cup")).players == 10
    assert len(await cups.fetch("SELECT 1 FROM participants")) == 10


async def test_a_banned_player_neither_joins_nor_scores_nor_gets_a_prize(cups: Cups) -> None:
    await cups.create(prizes=[{"from": 1, "to": 2, "kind": "gold", "amount": 10}, HALF])
    cups.time.at(START)
    await cups.send(score("ann", 9), score("bob", 8), score("cid", 7))
    assert await cups.ban("ann") == 0
    assert await code(cups.joiner.join("cup", "ann")) == "player_banned"
    assert (await cups.send(score("ann", 10))).unranked == {
        ("tournament:cup", "player_banned"): 1, ("global", "player_banned"): 1,
    }  # fmt: skip
    await cups.settle()
    assert await paid(cups) == {("bob", "gold"): 10, ("bob", "ticket"): 1, ("cid", "gold"): 10}
    assert await cups.ban("bob") == 2
    assert {prize.user_id: prize.status for prize in await cups.awarded()} == {"bob": "voided", "cid": "pending"}
    await cups.check_books()


async def test_a_ban_frees_the_place(cups: Cups) -> None:
    await cups.create(max_players=1, repeat=DAILY)
    cups.time.at(START)
    await cups.run()
    await cups.send(score("ann", 9), score("bob", 5))
    await cups.joiner.join("cup", "ann", 2)
    await cups.ban("ann")
    assert [(await cups.lister.get("cup", number)).players for number in (1, 2)] == [0, 0]
    assert (await cups.joiner.join("cup", "bob")).attempts == 0
    await cups.send(score("bob", 4), score("ann", 10))
    assert await code(cups.joiner.join("cup", "cid")) == "tournament_full"
    await cups.settle()
    assert [row.user_id for row in await cups.standings()] == ["bob"]


async def test_a_ban_after_the_settlement_moves_nobody(cups: Cups) -> None:
    await cups.create(prizes=[{**GOLD, "from": 1, "to": 2}])
    cups.time.at(START)
    await cups.send(score("ann", 9), score("bob", 5), score("cid", 1))
    await cups.settle()
    before = [(entry.rank, entry.user_id) for entry in (await cups.reader.page("cup")).entries]
    await cups.ban("ann")
    assert [(entry.rank, entry.user_id) for entry in (await cups.reader.page("cup")).entries] == before
    await cups.core.new_closer().close()
    await cups.core.sweeper.sweep()
    assert [(entry.rank, entry.user_id) for entry in (await cups.reader.page("cup")).entries] == before
    preview = await cups.reader.preview("cup")
    assert [(prize.rank, prize.user_id) for prize in preview.prizes] == [(1, "ann"), (2, "bob")]
    assert (preview.players, preview.total_prizes) == (3, 2)
    assert sorted((prize.user_id, prize.status) for prize in await cups.awarded()) == [
        ("ann", "voided"), ("bob", "pending"),
    ]  # fmt: skip


async def test_a_lifted_ban_begins_anew(cups: Cups) -> None:
    await cups.create(operator="sum")
    cups.time.at(START)
    await cups.send(score("ann", 9))
    await cups.ban("ann")
    await cups.append(score("ann", 4))
    await cups.banner.lift("ann")
    assert await code(cups.banner.lift("ann")) == "player_not_banned"
    # What arrived before the end of the ban does not count, also when it is processed only now.
    assert (await cups.process()).unranked["tournament:cup", "removed"] == 1
    cups.time.forward(seconds=1)
    await cups.send(score("ann", 2))
    await cups.settle()
    assert [(row.user_id, row.score) for row in await cups.standings()] == [("ann", 2)]


async def test_cancelled_pays_nothing(cups: Cups) -> None:
    await cups.create(prizes=[GOLD])
    cups.time.at(START)
    await cups.send(score("ann", 9))
    await cups.run()
    cups.time.at(START + HOUR)
    await cups.run()
    assert (await cups.keeper.cancel("cup")).status == "cancelled"
    assert await code(cups.keeper.cancel("cup")) == "tournament_settled"
    assert (await cups.reader.preview("cup")).total_prizes == 0
    assert await code(cups.keeper.end("cup")) == "tournament_not_active"
    assert await code(cups.change("cup", title="x")) == "tournament_over"
    cups.time.forward(days=1)
    assert await cups.run() == 0
    assert (await cups.awarded(), await cups.standings()) == ([], [])


async def test_ended_by_hand(cups: Cups) -> None:
    await cups.create(prizes=[GOLD])
    assert await code(cups.keeper.end("cup")) == "tournament_not_active"
    cups.time.at(START)
    await cups.run()
    cups.time.forward(minutes=10)
    await cups.send(score("ann", 9, at=START + MINUTE))
    view = await cups.keeper.end("cup")
    assert (view.status, view.ends_at) == ("ended", cups.time.now)
    await cups.send(score("bob", 99, at=START + 11 * MINUTE), score("cid", 1, at=START + 9 * MINUTE))
    assert await code(cups.keeper.end("cup")) == "tournament_not_active"
    assert await code(cups.joiner.join("cup", "dan")) == "tournament_over"
    cups.time.forward(seconds=SETTLED_AFTER.total_seconds())
    await cups.run()
    assert [row.user_id for row in await cups.standings()] == ["ann", "cid"]
    assert await code(cups.keeper.cancel("cup")) == "tournament_settled"


async def test_changes(cups: Cups) -> None:
    await cups.create(prizes=[GOLD])
    view = await cups.change("cup", title="Cup", starts_at=(START + MINUTE).isoformat(), max_attempts=3)
    assert (view.title, view.starts_at, view.max_attempts) == ("Cup", START + MINUTE, 3)
    for name, value in {"operator": "sum", "order": "asc", "field": "level", "event_type": "x", "where": {}}.items():
        assert await code(cups.change("cup", **{name: value})) == "invalid"
    assert await code(cups.change("cup", color="red")) == "invalid"
    assert await code(cups.change("cup", ends_at=START.isoformat())) == "invalid"
    cups.time.at(START + MINUTE)
    # It has begun, whether a step of the clock says so yet or not.
    assert await code(cups.change("cup", starts_at=(START + HOUR / 2).isoformat())) == "invalid"
    await cups.run()
    assert await code(cups.change("cup", starts_at=START.isoformat())) == "invalid"
    later = START + 3 * HOUR
    view = await cups.change("cup", ends_at=later.isoformat(), prizes=[{**GOLD, "amount": 99}])
    assert (view.ends_at, view.status) == (later, "active")
    cups.time.at(START + 2 * HOUR)
    assert await cups.run() == 0
    await cups.send(score("ann", 9, at=START + 2 * HOUR))
    view = await cups.change("cup", ends_at=(START + 2 * HOUR + MINUTE).isoformat())
    await cups.settle()
    assert await paid(cups) == {("ann", "gold"): 99}
    assert await code(cups.change("cup", title="x")) == "tournament_over"


async def code(call: Any) -> str:
    """The code of the refusal that a call must end in."""
    with pytest.raises(GrandstandError) as caught:
        await call
    assert caught.value.status < 500
    return caught.value.code
