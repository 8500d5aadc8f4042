"""Prizes, claims and bans over HTTP."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from grandstand.storage.postgres import WAITING_PER_CONNECTION_MAX
from tests.api.conftest import Site, problem
from tests.api.tournament_steps import HOUR, create, run, score, set_clock, settle, users, won
from tests.support.core import NOON, event

pytestmark = pytest.mark.anyio
PRIZES = "/api/prizes"


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, NOON)


async def steps(site: Site, prize_id: str) -> list[tuple[str, str]]:
    """The trace of a prize: status and who."""
    sql = "SELECT status, actor FROM prize_steps WHERE prize_id = $1 ORDER BY step_id"
    return [(row["status"], row["actor"]) for row in await site.core.database.pool.fetch(sql, prize_id)]


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def test_a_claim_is_taken_once_and_its_key_gets_the_same_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await won(site, monkeypatch, "claims", "k-ann", "k-bob", "k-cleo")
    ann = await site.token("k-ann")
    path = f"{PRIZES}/{first}/claim"
    claimed = await site.post(path, b"", ann, headers=key("one"))
    assert claimed.status_code == 200
    assert (claimed.json()["status"], claimed.json()["claimed_at"]) == ("claimed", "2026-11-24T13:03:00Z")
    set_clock(monkeypatch, NOON + 5 * HOUR)
    again = await site.post(path, b"", "server", headers=key("one"))
    assert (again.status_code, again.json()) == (200, claimed.json())
    for headers in (key("two"), {}):
        problem(await site.post(path, b"", ann, headers=headers), 409, "already_claimed")
    for wrong in ("", "x" * 256, "\x7f"):
        answer = await site.client.post(path, headers=site.headers(ann) | key(wrong))
        assert problem(answer, 422, "invalid")["errors"][0]["path"] == "Idempotency-Key"
    assert [each[0] for each in await steps(site, first)] == ["pending", "claimed"]
    assert (await steps(site, first))[1][1] == "player:k-ann"
    assert (await site.post(f"{PRIZES}/{second}/claim", b"", "admin")).status_code == 200


async def test_who_may_see_and_claim(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await won(site, monkeypatch, "access", "a-ann", "a-bob")
    ann, bob = await site.token("a-ann"), await site.token("a-bob")
    for who, status in ((None, 401), ("client", 403)):
        assert (await site.get(PRIZES, who)).status_code == status
        assert (await site.post(f"{PRIZES}/{first}/claim", b"", who)).status_code == status
    for who, status in ((None, 401), ("client", 403), (ann, 403)):
        assert (await site.post(f"{PRIZES}/{first}/void", b"", who)).status_code == status
    problem(await site.post(f"{PRIZES}/{first}/claim", b"", bob), 403, "forbidden")
    problem(await site.get(f"{PRIZES}?user_id=a-ann", bob), 403, "forbidden")
    assert [each["id"] for each in (await site.get(PRIZES, ann)).json()["prizes"]] == [first]
    assert [each["id"] for each in (await site.get(f"{PRIZES}?user_id=a-bob", "server")).json()["prizes"]] == [second]
    assert (await site.get(PRIZES, ann)).headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("prize_id", ["0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7", "nothing", "%00", "%ff"])
async def test_prizes_that_are_none(site: Site, prize_id: str) -> None:
    for action in ("claim", "void"):
        problem(await site.post(f"{PRIZES}/{prize_id}/{action}", b"", "server"), 404, "prize_not_found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"status": "won"}, "status"),
        ({"cursor": "x"}, "cursor"),
        ({"user_id": "\x00"}, "user_id"),
        ({"tournament_id": "\x00"}, "tournament_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_lists_that_cannot_be(site: Site, query: dict[str, str], field: str) -> None:
    body = problem(await site.get(PRIZES, "server", params=query), 422, "invalid")
    assert [each["path"] for each in body["errors"]] == [field]


async def test_the_list_goes_page_by_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await create(site, "paged", prizes=[{"top_percent": 100, "kind": "xp", "amount": 1}])
    await run(site)
    for number in range(7):
        await score(site, "paged", f"p-{number}", 100 - number)
    await settle(site, monkeypatch)
    found: list[str] = []
    cursor = None
    while True:
        query = {"limit": "3", "tournament_id": "paged", "status": "pending"} | ({"cursor": cursor} if cursor else {})
        body = (await site.get(PRIZES, "server", params=query)).json()
        found += [each["user_id"] for each in body["prizes"]]
        cursor = body["next_cursor"]
        if cursor is None:
            break
    assert found == [f"p-{number}" for number in range(7)]


async def test_two_hundred_claims_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prize_id, other = await won(site, monkeypatch, "rush", "t-ann", "t-bob")
    path = f"{PRIZES}/{prize_id}/claim"
    # As many at a time as may wait for the database; what comes beyond that is 503.
    turns = asyncio.Semaphore(WAITING_PER_CONNECTION_MAX * site.core.database.pool.get_max_size())

    async def claim(number: int) -> httpx.Response:
        async with turns:
            return await site.post(path, b"", "server", headers=key(str(number)) if number % 2 else {})

    answers = await asyncio.gather(*map(claim, range(200)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 199
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"already_claimed"}
    assert [each[0] for each in await steps(site, prize_id)] == ["pending", "claimed"]
    same = await asyncio.gather(
        *(site.post(f"{PRIZES}/{other}/claim", b"", "server", headers=key("same")) for _ in range(50))
    )
    assert {answer.status_code for answer in same} == {200}
    assert len({answer.content for answer in same}) == 1
    told = await site.core.database.pool.fetchval(
        "SELECT count(*) FROM webhook_events WHERE type = 'prize.claimed' AND payload ->> 'tournament_id' = 'rush'"
    )
    assert told == 2


async def test_what_is_not_claimed_in_time_expires(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prize_id, _ = await won(site, monkeypatch, "expiry", "e-ann", "e-bob")
    set_clock(monkeypatch, NOON + timedelta(days=31))
    # Before and after the clock has written it.
    problem(await site.post(f"{PRIZES}/{prize_id}/claim", b"", "server"), 410, "prize_expired")
    await site.services.prizes.expire()
    problem(await site.post(f"{PRIZES}/{prize_id}/claim", b"", "server"), 410, "prize_expired")
    problem(await site.post(f"{PRIZES}/{prize_id}/void", b"", "server"), 409, "prize_not_pending")
    assert [each[0] for each in await steps(site, prize_id)] == ["pending", "expired"]


async def test_a_voided_prize(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    prize_id, _ = await won(site, monkeypatch, "voids", "v-ann", "v-bob")
    path = f"{PRIZES}/{prize_id}"
    for body, status, code in (
        (b"{", 400, "malformed"),
        ({"reason": 5}, 422, "invalid"),
        ({"reason": ""}, 422, "invalid"),
        ({"reason": "\x00"}, 422, "invalid"),
        ({"why": "x"}, 422, "invalid"),
    ):
        problem(await site.post(f"{path}/void", body, "server"), status, code)
    voided = await site.post(f"{path}/void", {"reason": "collusion"}, "server")
    assert (voided.status_code, voided.json()["status"]) == (200, "voided")
    problem(await site.post(f"{path}/void", b"", "server"), 409, "prize_not_pending")
    problem(await site.post(f"{path}/claim", b"", "server"), 409, "prize_voided")
    assert [each[0] for each in await steps(site, prize_id)] == ["pending", "voided"]


async def test_a_ban(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = await won(site, monkeypatch, "bans", "b-ann", "b/bob")
    await site.post(f"{PRIZES}/{first}/claim", b"", "server")
    set_clock(monkeypatch, NOON)
    path = await create(site, "bans-next")
    await run(site)
    for user in ("b-ann", "b/bob", "b-cleo"):
        await score(site, "bans-next", user, 5)
        await site.core.apply(event(user, 5))
    ann = await site.token("b-ann")
    for who, status in ((None, 401), ("client", 403), (ann, 403)):
        assert (await site.post("/api/players/b-ann/ban", {"reason": "x"}, who)).status_code == status
        assert (await site.post("/api/players/b-ann/unban", b"", who)).status_code == status
    problem(await site.post("/api/players/b%2Fbob/unban", b"", "server"), 404, "player_not_banned")
    for body, status, code in ((b"", 400, "malformed"), ({}, 422, "invalid"), ({"reason": ""}, 422, "invalid")):
        problem(await site.post("/api/players/b%2Fbob/ban", body, "server"), status, code)
    banned = await site.post("/api/players/b%2Fbob/ban", {"reason": "speed hack"}, "server")
    assert banned.json() == {
        "user_id": "b/bob", "is_banned": True, "banned_at": "2026-11-24T12:00:00Z", "prizes_voided": 1,
    }  # fmt: skip
    assert (await site.post("/api/players/b%2Fbob/ban", {"reason": "x"}, "server")).json()["prizes_voided"] == 0
    problem(await site.post(f"{PRIZES}/{second}/claim", b"", "server"), 409, "prize_voided")
    problem(await site.post(f"{path}/join", {"user_id": "b/bob"}, "server"), 409, "player_banned")
    await score(site, "bans-next", "b/bob", 500)
    await site.core.apply(event("b/bob", 500))
    assert "b/bob" not in users((await site.get(f"{path}/leaderboard")).json())
    assert "b/bob" not in users((await site.get("/api/leaderboards/global?limit=1000")).json())
    await site.core.apply(event("b-ann", 6))
    lifted = await site.post("/api/players/b%2Fbob/unban", b"", "server")
    assert (lifted.status_code, lifted.json()["is_banned"]) == (200, False)
    await site.core.apply(event("b/bob", 7), received_at=NOON + HOUR)
    assert (await site.get("/api/leaderboards/global/users/b%2Fbob")).json()["score"] == 7


async def test_what_is_known_of_a_player(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await won(site, monkeypatch, "known", "n-ann", "n-bob")
    set_clock(monkeypatch, NOON)
    await create(site, "known-next", visibility="private")
    await run(site)
    await score(site, "known-next", "n-ann", 5)
    await site.core.apply(event("n-ann", 10**9), received_at=NOON + HOUR)
    for who in ("server", await site.token("n-ann")):
        seen = (await site.get("/api/players/n-ann", who)).json()
        assert (seen["first_seen_at"], seen["last_seen_at"]) == ("2026-11-24T12:00:00Z", "2026-11-24T13:00:00Z")
        assert [(each["leaderboard"], each["rank"]) for each in seen["ranks"]] == [("global", 1)]
        running = {each["tournament_id"]: each["attempts"] for each in seen["tournaments"]}
        assert running["known-next"] == 1
        assert [(each["tournament_id"], each["rank"]) for each in seen["prizes"]] == [("known", 1)]
        assert (seen["display_name"], seen["is_banned"]) == (None, False)
    problem(await site.get("/api/players/n-ann", await site.token("n-bob")), 403, "forbidden")
    await site.post("/api/players/n-ann/ban", {"reason": "x"}, "server")
    gone: dict[str, Any] = (await site.get("/api/players/n-ann", "server")).json()
    assert (gone["is_banned"], gone["ranks"]) == (True, [])
    # What is settled stays as it is.
    assert [each["tournament_id"] for each in gone["tournaments"]] == ["known"]
    assert [each["status"] for each in gone["prizes"]] == ["voided"]
