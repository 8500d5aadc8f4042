"""The quarantine over HTTP: listed, released and rejected by operators, with a trace."""

from typing import Any

import pytest

from grandstand.clock import now
from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio

PATH = "/api/quarantine"
UNKNOWN = "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"
BOARD = {
    "event_type": "run_ended",
    "operator": "sum",
    "field": "score",
    "plausibility": {"score_max": 10, "duration_field": "seconds", "duration_min_seconds": 20},
}


@pytest.fixture
async def board(site: Site) -> Site:
    """A board on which ann has one score that counts and two that are held."""
    await site.delete("/api/leaderboards/runs")
    answer = await site.put("/api/leaderboards/runs", BOARD)
    assert answer.status_code == 201, answer.text
    await site.core.refresh()
    payloads = [{"score": 5, "seconds": 20}, {"score": 11, "seconds": 20}, {"score": 6, "seconds": 19}]
    token = await site.token("ann")
    for payload in payloads:
        sent = {"event_type": "run_ended", "user_id": "ann", "payload": payload, "occurred_at": now().isoformat()}
        # A player hears nothing of the bounds: what is quarantined is taken like anything else.
        assert (await site.post("/api/events", sent, token)).status_code == 202
    await site.work()
    return site


async def listed(site: Site, query: str = "") -> list[dict[str, Any]]:
    answer = await site.get(f"{PATH}?leaderboard=runs&{query}", "server")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"].startswith("private")
    found: list[dict[str, Any]] = answer.json()["quarantine"]
    return found


async def score(site: Site) -> int:
    found: int = (await site.get("/api/leaderboards/runs/users/ann", "server")).json()["score"]
    return found


async def test_a_definition_is_served_with_its_bounds(board: Site) -> None:
    served = (await board.get("/api/leaderboards/runs/definition", "server")).json()["plausibility"]
    assert served == BOARD["plausibility"]
    wrong = BOARD | {"plausibility": {"duration_min_seconds": -1}}
    body = problem(await board.put("/api/leaderboards/other", wrong), 422, "invalid")
    assert {error["path"] for error in body["errors"]} == {
        "plausibility.duration_field", "plausibility.duration_min_seconds",
    }  # fmt: skip


async def test_listed_with_the_reason(board: Site) -> None:
    assert [(row["reason"], row["score"], row["status"]) for row in await listed(board)] == [
        ("duration_too_short", 6, "held"),
        ("score_too_high", 11, "held"),
    ]
    assert await listed(board, "user_id=bob") == []
    assert await listed(board, "status=released") == []
    page = (await board.get(f"{PATH}?leaderboard=runs&limit=1", "server")).json()
    rest = await listed(board, f"cursor={page['next_cursor']}")
    assert [row["score"] for row in [*page["quarantine"], *rest]] == [6, 11]
    assert await score(board) == 5


async def test_released_and_rejected_with_a_trace(board: Site) -> None:
    short, high = await listed(board)
    for _ in range(2):
        answer = await board.post(f"{PATH}/{high['id']}/release", {}, "server")
        assert (answer.status_code, answer.json()["status"]) == (200, "released")
        answer = await board.post(f"{PATH}/{short['id']}/reject", {}, "server")
        assert (answer.status_code, answer.json()["status"]) == (200, "rejected")
    assert await score(board) == 16
    problem(await board.post(f"{PATH}/{high['id']}/reject", {}, "server"), 409, "quarantine_decided")
    problem(await board.post(f"{PATH}/{short['id']}/release", {}, "server"), 409, "quarantine_decided")
    assert {row["status"] for row in await listed(board)} == {"released", "rejected"}
    for row, action in ((high, "quarantine.release"), (short, "quarantine.reject")):
        (told,) = (await board.get(f"/api/audit-log?target={row['id']}", "admin")).json()["entries"]
        assert (told["action"], told["before"]["status"], told["actor"].split(":")[0]) == (action, "held", "server")


@pytest.mark.parametrize("verb", ["release", "reject"])
@pytest.mark.parametrize("quarantine_id", [UNKNOWN, "none", "%00"])
async def test_nothing_of_that_id(site: Site, verb: str, quarantine_id: str) -> None:
    problem(await site.post(f"{PATH}/{quarantine_id}/{verb}", {}, "server"), 404, "quarantine_not_found")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("status=open", "status"), ("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=x", "cursor"),
        ("leaderboard=" + "x" * 256, "leaderboard"), ("user_id=%00", "user_id"),
    ],
)  # fmt: skip
async def test_wrong_parameters_are_named(site: Site, query: str, name: str) -> None:
    body = problem(await site.get(f"{PATH}?{query}", "server"), 422, "invalid")
    assert name in [error["path"] for error in body["errors"]]
