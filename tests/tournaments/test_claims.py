"""Claims: each prize once, whoever asks how often, and whatever happens to it at the same moment."""

from datetime import timedelta
from uuid import uuid4

import pytest

from grandstand.domain.errors import ConflictError, GoneError, GrandstandError
from grandstand.operations.tournament_views import PrizeView
from tests.tournaments.cups import START, Cups, score, together

COUNT = 24
GOLD = {"from": 1, "to": COUNT, "kind": "gold", "amount": 10}


async def won(cups: Cups, players: int = 1) -> list[PrizeView]:
    """The pending prizes of a settled tournament, one for each player."""
    await cups.create(prizes=[GOLD], claim_days=1)
    cups.time.at(START)
    await cups.send(*(score(f"u{number}", number) for number in range(players)))
    await cups.settle()
    return await cups.awarded()


async def test_200_claims_at_once(cups: Cups) -> None:
    (prize,) = await won(cups)
    keepers = [cups, cups.other()]
    results = await together(*(keepers[number % 2].claim(prize.id, f"key-{number}") for number in range(200)))
    claimed = [result for result in results if isinstance(result, PrizeView)]
    refused = [result.code for result in results if isinstance(result, ConflictError)]
    assert (len(claimed), refused) == (1, ["already_claimed"] * 199)
    assert await cups.steps(prize.id) == ["pending", "claimed"]
    assert len(await cups.told("prize.claimed")) == 1
    await cups.check_books()


async def test_the_same_key_gets_the_same_answer(cups: Cups) -> None:
    (prize,) = await won(cups)
    first, *others = await together(*(cups.claim(prize.id, "key") for _ in range(50)))
    assert isinstance(first, PrizeView)
    assert others == [first] * 49
    cups.time.forward(days=400)
    await cups.run()
    assert await cups.claim(prize.id, "key") == first
    for key in (None, "other"):
        with pytest.raises(ConflictError) as caught:
            await cups.claim(prize.id, key)
        assert caught.value.code == "already_claimed"
    await cups.check_books()


async def test_a_claim_without_a_key_counts_once_too(cups: Cups) -> None:
    (prize,) = await won(cups)
    results = await together(*(cups.claim(prize.id) for _ in range(10)))
    assert sum(isinstance(result, PrizeView) for result in results) == 1


async def test_refusals(cups: Cups) -> None:
    (prize,) = await won(cups)
    wanted = {
        "prize_not_found": cups.claim(str(uuid4())),
        "forbidden": cups.claim(prize.id, user_id="ann"),
        "invalid": cups.claim(prize.id, "x" * 256),
    }
    for code, call in wanted.items():
        with pytest.raises(GrandstandError) as caught:
            await call
        assert caught.value.code == code
    for text in ("", "no uuid", "\x00"):
        with pytest.raises(GrandstandError) as caught:
            await cups.claim(text)
        assert caught.value.code == "prize_not_found"
    assert await cups.steps(prize.id) == ["pending"]


async def test_a_claim_in_time_and_one_that_is_not(cups: Cups) -> None:
    first, second = await won(cups, 2)
    cups.time.at(first.expires_at - timedelta(microseconds=1))
    assert (await cups.claim(first.id)).status == "claimed"
    cups.time.at(second.expires_at)
    # Before the clock has expired it, and after.
    for _ in range(2):
        with pytest.raises(GoneError) as caught:
            await cups.claim(second.id)
        assert caught.value.code == "prize_expired"
        await cups.run()
    assert await cups.steps(second.id) == ["pending", "expired"]
    await cups.check_books()


async def test_claims_race_bans(cups: Cups) -> None:
    prizes = await won(cups, COUNT)
    calls = []
    for number, prize in enumerate(prizes):
        pair = [cups.claim(prize.id, "key"), cups.ban(prize.user_id)]
        calls += pair if number % 2 else pair[::-1]
    results = await together(*calls)
    assert all(isinstance(result, PrizeView | int) or result.code == "prize_voided" for result in results)
    claims = sum(isinstance(result, PrizeView) for result in results)
    states = [prize.status for prize in await cups.awarded()]
    assert (states.count("claimed"), states.count("voided")) == (claims, COUNT - claims)
    await cups.check_books()


async def test_claims_race_expiry(cups: Cups) -> None:
    prizes = await won(cups, COUNT)

    async def claim(prize: PrizeView) -> PrizeView:
        cups.time.at(prize.expires_at - timedelta(seconds=1))
        return await cups.claim(prize.id, "key")

    async def expire() -> int:
        cups.time.at(prizes[0].expires_at)
        return await cups.prize_keeper.expire()

    calls = [claim(prize) for prize in prizes]
    calls[COUNT // 2 : COUNT // 2] = [expire(), expire()]
    results = await together(*calls)
    assert all(isinstance(result, PrizeView | int) or result.code == "prize_expired" for result in results)
    claims = sum(isinstance(result, PrizeView) for result in results)
    states = [prize.status for prize in await cups.awarded()]
    assert (states.count("claimed"), states.count("expired")) == (claims, COUNT - claims)
    await cups.check_books()


async def test_a_ban_races_expiry(cups: Cups) -> None:
    """Both change many prizes at once, in one order."""
    cups.time.at(START)
    for number in range(COUNT):
        await cups.create(f"cup-{number}", prizes=[GOLD], claim_days=1)
    await cups.send(*(score(user, 1, cup=f"cup-{number}") for number in range(COUNT) for user in ("ann", "bob")))
    await cups.settle("cup-0")
    cups.time.forward(days=1)
    results = await together(cups.ban("ann"), cups.prize_keeper.expire(), cups.ban("bob"), cups.prize_keeper.expire())
    assert sum(results) == 2 * COUNT
    await cups.check_books()


async def test_voided_by_hand(cups: Cups) -> None:
    first, second = await won(cups, 2)
    assert (await cups.prize_keeper.void(first.id, actor="admin", reason="test")).status == "voided"
    with pytest.raises(ConflictError) as caught:
        await cups.claim(first.id)
    assert caught.value.code == "prize_voided"
    await cups.claim(second.id)
    with pytest.raises(ConflictError) as caught:
        await cups.prize_keeper.void(second.id, actor="admin", reason=None)
    assert caught.value.code == "prize_not_pending"
    await cups.check_books()


async def test_a_ban_races_settlement(cups: Cups) -> None:
    """Either the ranks leave the player out, or the prizes are voided: never paid and banned."""
    for number in range(12):
        cup, user = f"cup-{number}", f"u{number}"
        cups.time.at(START)
        await cups.create(cup, prizes=[{"from": 1, "kind": "gold", "amount": 10}])
        await cups.send(score(user, 9, cup=cup), score("zoe", 1, cup=cup))
        cups.time.forward(hours=2)
        results = await together(cups.run(), cups.ban(user))
        assert not any(isinstance(result, BaseException) for result in results), results
        (prize,) = await cups.awarded(cup)
        assert (prize.user_id, prize.status) in {(user, "voided"), ("zoe", "pending")}
    await cups.check_books()
