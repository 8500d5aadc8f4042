"""A tournament from its creation to the claim of its prizes."""

from datetime import timedelta

from tests.tournaments.cups import HOUR, START, Cups, score

PRIZES = [
    {"from": 1, "kind": "gold", "amount": 100, "metadata": {"badge": "champion"}},
    {"from": 2, "to": 3, "kind": "gold", "amount": 50},
    {"top_percent": 50, "kind": "ticket", "amount": 1},
]


async def test_from_creation_to_claim(cups: Cups) -> None:
    view = await cups.create(prizes=PRIZES, claim_days=7)
    assert (view.status, view.occurrence, view.players, view.next_starts_at) == ("scheduled", 1, 0, None)
    assert await cups.run() == 0

    cups.time.at(START)
    assert await cups.run() == 1
    cups.time.forward(minutes=30)
    applied = await cups.send(
        score("ann", 10, at=START), score("bob", 30, at=START + timedelta(minutes=2)), score("cid", 20),
        score("dan", 20, at=START + timedelta(minutes=1)), score("ann", 5, at=START + timedelta(minutes=3)),
    )  # fmt: skip
    assert (applied.stored, applied.unranked) == (5, {})
    view = await cups.lister.get("cup")
    assert (view.status, view.players) == ("active", 4)
    page = await cups.reader.page("cup")
    assert [(entry.rank, entry.user_id, entry.score) for entry in page.entries] == [
        (1, "bob", 30), (2, "cid", 20), (3, "dan", 20), (4, "ann", 10),
    ]  # fmt: skip
    assert (await cups.reader.user("cup", "ann")).attempts == 2
    preview = await cups.reader.preview("cup")
    assert (preview.players, preview.total_prizes, preview.total_amounts) == (4, 5, {"gold": 200, "ticket": 2})

    cups.time.at(START + HOUR)
    assert await cups.run() == 1
    assert (await cups.lister.get("cup")).status == "ended"
    await cups.settle()
    view = await cups.lister.get("cup")
    assert (view.status, view.settled_at) == ("settled", cups.time.now)
    assert [row.user_id for row in await cups.standings()] == ["bob", "cid", "dan", "ann"]
    prizes = await cups.awarded("cup")
    assert sorted((prize.user_id, prize.rank, prize.kind, prize.amount) for prize in prizes) == [
        ("bob", 1, "gold", 100), ("bob", 1, "ticket", 1), ("cid", 2, "gold", 50), ("cid", 2, "ticket", 1),
        ("dan", 3, "gold", 50),
    ]  # fmt: skip
    assert {prize.status for prize in prizes} == {"pending"}
    assert {prize.expires_at - prize.awarded_at for prize in prizes} == {timedelta(days=7)}
    (first,) = [prize for prize in prizes if prize.amount == 100]
    assert first.metadata == {"badge": "champion"}
    claimed = await cups.claim(first.id, "key-1", "bob")
    assert (claimed.status, claimed.claimed_at) == ("claimed", cups.time.now)
    assert await cups.run() == 0
    await cups.check_books()
    assert [told["players"] for told in await cups.told("tournament.settled")] == [4]
    assert len(await cups.told("tournament.started")) == 1
    page = await cups.reader.page("cup")
    assert [entry.user_id for entry in page.entries] == ["bob", "cid", "dan", "ann"]
