"""Wrong definitions and keys: 422 that names the field, and nothing is made."""

from typing import Any

import pytest

from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio
BOARD = {"event_type": "run", "operator": "best", "field": "score"}
GOLD, SILVER = {"id": "gold", "top_percent": 5}, {"id": "silver", "top_percent": 20}


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"period": "cron: 61 * * * *"}, "period"),
        ({"period": "cron: 0 6 * *"}, "period"),
        ({"period": "cron: 0 0 30 2 *"}, "period"),
        ({"period": "cron:"}, "period"),
        ({"period": "cron: @daily"}, "period"),
        ({"period": "yearly"}, "period"),
        ({"period": None}, "period"),
        ({"period": 5}, "period"),
        ({"period": "cron: " + ",".join(["0"] * 200) + " * * * *"}, "period"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "localtime"}, "timezone"),
        ({"timezone": "posixrules"}, "timezone"),
        ({"timezone": "Factory"}, "timezone"),
        ({"timezone": "right/UTC"}, "timezone"),
        ({"timezone": "posix/Europe/Berlin"}, "timezone"),
        ({"timezone": "../etc/passwd"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": "\x00"}, "timezone"),
        ({"timezone": "/etc/localtime"}, "timezone"),
        ({"field": None}, "field"),
        ({"field": None, "operator": "sum"}, "field"),
        ({"field": None, "operator": "latest"}, "field"),
        ({"field": ""}, "field"),
        ({"field": "a..b"}, "field"),
        ({"field": "x" * 201}, "field"),
        ({"operator": "max"}, "operator"),
        ({"operator": None}, "operator"),
        ({"order": "up"}, "order"),
        ({"visibility": "secret"}, "visibility"),
        ({"event_type": ""}, "event_type"),
        ({"event_type": "a b"}, "event_type"),
        ({"event_type": "grandstand.score"}, "event_type"),
        ({"event_type": 1}, "event_type"),
        ({"title": ""}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"title": "a\nb"}, "title"),
        ({"min_score": 5, "max_score": 4}, "max_score"),
        ({"min_score": 2**53}, "min_score"),
        ({"max_score": 1.5}, "max_score"),
        ({"where": {"": 1}}, "where"),
        ({"where": {f"f{number}": 1 for number in range(11)}}, "where"),
        ({"where": {"mode": "x" * 1001}}, "where.mode"),
        ({"where": {"mode": 2**60}}, "where.mode"),
        ({"where": {"mode": [1]}}, "where"),
        ({"where": []}, "where"),
        ({"segment_by": "a..b"}, "segment_by"),
        ({"segment_by": "country", "bucket_size": 10}, "bucket_size"),
        ({"bucket_size": 1}, "bucket_size"),
        ({"bucket_size": 100_001}, "bucket_size"),
        ({"keep": ["a"] * 2}, "keep"),
        ({"keep": [f"f{number}" for number in range(11)]}, "keep"),
        ({"keep": [""]}, "keep[0]"),
        ({"keep": "level"}, "keep"),
        ({"tie_breaks": [{"field": f"f{number}"} for number in range(4)]}, "tie_breaks"),
        ({"tie_breaks": [{"field": "assists"}], "operator": "sum"}, "tie_breaks"),
        ({"tie_breaks": [{"field": ""}]}, "tie_breaks[0].field"),
        ({"tie_breaks": [{}]}, "tie_breaks[0].field"),
        ({"tiers": [SILVER, GOLD]}, "tiers[1]"),
        ({"tiers": [GOLD, GOLD | {"top_percent": 9}]}, "tiers"),
        ({"tiers": [GOLD, {"id": "x", "min_score": 3}]}, "tiers"),
        ({"tiers": [{"id": "x", "min_score": 3}, {"id": "y", "min_score": 9}]}, "tiers[1]"),
        ({"order": "asc", "tiers": [{"id": "x", "min_score": 9}, {"id": "y", "min_score": 3}]}, "tiers[1]"),
        ({"tiers": [{"id": "x"}]}, "tiers[0]"),
        ({"tiers": [GOLD | {"top_percent": 0}]}, "tiers[0].top_percent"),
        ({"tiers": [GOLD | {"top_percent": 101}]}, "tiers[0].top_percent"),
        ({"tiers": [{"id": "", "top_percent": 1}]}, "tiers[0].id"),
        ({"unknown": 1}, "unknown"),
    ],
    ids=lambda value: str(value)[:50] if isinstance(value, dict) else "",
)
async def test_the_field_is_named(site: Site, values: dict[str, Any], path: str) -> None:
    body = problem(await site.put("/api/leaderboards/wrong", BOARD | values), 422, "invalid")
    assert path in [each["path"] for each in body["errors"]]
    assert body["detail"]
    problem(await site.get("/api/leaderboards/wrong"), 404, "leaderboard_not_found")


async def test_every_wrong_field_is_named_at_once(site: Site) -> None:
    values = {"period": "yearly", "min_score": 9, "max_score": 1, "bucket_size": 1}
    body = problem(await site.put("/api/leaderboards/wrong", BOARD | values), 422, "invalid")
    assert {each["path"] for each in body["errors"]} == {"period", "max_score", "bucket_size"}


@pytest.mark.parametrize(
    "key",
    ["user", "%75ser", "..%2Fx", "%2e%2e%2Fx", "-x", "a%20b", "%00", "%FF", "x" * 65, "%C3%A9", ".hidden", "a%2Fb"],
)
async def test_keys_that_cannot_be(site: Site, key: str) -> None:
    answer = await site.put(f"/api/leaderboards/{key}", BOARD)
    body = problem(answer, 422, "invalid")
    assert [each["path"] for each in body["errors"]] == ["key"]


@pytest.mark.parametrize("body", [b"", b"{", b"nothing", b"\xff", b'{"operator":"\\ud800"}', b"[" * 5000])
async def test_what_is_no_json_is_malformed(site: Site, body: bytes) -> None:
    answer = await site.client.put("/api/leaderboards/wrong", content=body, headers=site.headers("server"))
    problem(answer, 400, "malformed")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"5"])
async def test_what_is_no_object_is_invalid(site: Site, body: bytes) -> None:
    answer = await site.client.put("/api/leaderboards/wrong", content=body, headers=site.headers("server"))
    problem(answer, 422, "invalid")


async def test_the_rules_do_not_change_under_entries(site: Site) -> None:
    path = "/api/leaderboards/ruled"
    assert (await site.put(path, BOARD)).status_code == 201
    await site.post(f"{path}/scores", {"user_id": "ann", "score": 5}, "server")
    await site.work()
    body = problem(await site.put(path, BOARD | {"operator": "sum"}), 409, "leaderboard_has_entries")
    assert "replay" in body["detail"]
    assert (await site.get(f"{path}/definition")).json()["operator"] == "best"
    looks = {"title": "Runs", "tiers": [GOLD], "visibility": "private"}
    assert (await site.put(path, BOARD | looks)).status_code == 200
    problem(await site.delete("/api/leaderboards/global"), 409, "leaderboard_protected")
