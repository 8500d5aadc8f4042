"""`GET /api/events`: every stored event once, the newest first, of a player, of a type, or all of them."""

import json
from datetime import timedelta
from typing import Any

import pytest

from grandstand.operations import read_events
from tests.api.conftest import Site, problem
from tests.support.core import NOON, event

pytestmark = pytest.mark.anyio

PATH = "/api/events"


async def walk(site: Site, query: str, limit: int) -> list[dict[str, Any]]:
    """Every page of a list."""
    found, cursor = [], ""
    while True:
        answer = await site.get(f"{PATH}?{query}&limit={limit}{cursor}", "server")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert len(page["events"]) <= limit
        found += page["events"]
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"


async def test_pages_give_each_event_once(site: Site) -> None:
    sent = []
    for number in range(23):
        item = event("ann" if number % 3 else "bob", payload={"score": number, "deep": {"a": [1.5, None]}})
        # Several share a moment: the id decides between them.
        await site.core.apply(item, received_at=NOON + timedelta(seconds=number // 4))
        sent.append((NOON + timedelta(seconds=number // 4), item))
    sent.sort(key=lambda pair: (pair[0], pair[1].id.bytes), reverse=True)
    for limit in (1, 4, 100):
        assert [each["id"] for each in await walk(site, "event_type=game_ended", limit)] == [
            str(item.id) for _, item in sent
        ]
        assert [each["id"] for each in await walk(site, "user_id=ann", limit)] == [
            str(item.id) for _, item in sent if item.user_id == "ann"
        ]
    newest = next(item for _, item in sent if item.user_id == "ann")
    shown = (await walk(site, "user_id=ann&event_type=game_ended", 100))[0]
    assert shown.pop("processed_at")
    assert shown == {
        "id": str(newest.id), "event_type": "game_ended", "user_id": "ann", "received_at": "2026-11-24T12:00:05Z",
        "occurred_at": "2026-11-24T12:00:00Z", "payload": json.loads(bytes(newest.payload)),
    }  # fmt: skip


async def test_all_events_are_listed_where_nothing_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    types = ("game_ended", "a.b", "Zoo", "z", "purchase")
    first = NOON + timedelta(days=60)
    for number in range(23):
        item, at = event(f"user-{number % 3}", event_type=types[number % 5]), first + timedelta(days=number // 4 * 9)
        await site.core.apply(item, received_at=at)
        sent.append((at, item))
    sent.sort(key=lambda pair: (pair[0], pair[1].id.bytes), reverse=True)
    ids = [str(item.id) for _, item in sent]
    for limit in (1, 4, 23, 100):
        assert [each["id"] for each in await walk(site, f"from={first:%Y-%m-%dT%H:%M:%SZ}", limit)] == ids
    since, until = first + timedelta(days=9), first + timedelta(days=27)
    bounds = f"from={since:%Y-%m-%dT%H:%M:%SZ}&to={until:%Y-%m-%dT%H:%M:%SZ}"
    assert [each["id"] for each in await walk(site, bounds, 3)] == [
        str(item.id) for at, item in sent if since <= at < until
    ]
    assert [each["id"] for each in await walk(site, "scores=true", 50)][:23] == ids
    monkeypatch.setattr(read_events, "TYPES_MAX", 4)
    refused = problem(await site.get(PATH, "server"), 422, "invalid")
    assert refused["errors"][0]["path"] == "user_id"
    assert len(await walk(site, "event_type=z&user_id=user-0", 5)) == 2


async def test_scores_say_where_an_event_counts_or_why_not(site: Site) -> None:
    rule = {"event_type": "run_ended", "operator": "best", "field": "score"}
    await site.put("/api/leaderboards/runs", rule | {"plausibility": {"score_max": 100}})
    await site.put("/api/leaderboards/typo", rule | {"field": "payload.score"})
    sent = [{"score": 7}, {"score": "7"}, {"score": 7.5}, {}, {"score": 101}]
    events = [{"event_type": "run_ended", "user_id": "eva", "payload": payload} for payload in sent]
    assert (await site.post(PATH, events, "server")).status_code == 202
    await site.work()
    found = await walk(site, "user_id=eva&scores=true", 50)
    on = {
        json.dumps(each["payload"]["score"] if each["payload"] else None): {
            score["leaderboard"]: (score["score"], score["reason"], score["quarantine"]) for score in each["scores"]
        }
        for each in found
    }
    missing = (None, "missing_field", None)
    assert on == {
        "7": {"runs": (7, None, None), "typo": missing},
        '"7"': {"runs": (None, "not_a_number", None), "typo": missing},
        "7.5": {"runs": (None, "not_an_integer", None), "typo": missing},
        "null": {"runs": missing, "typo": missing},
        "101": {"runs": (None, "score_too_high", "held"), "typo": missing},
    }
    assert all("scores" not in each for each in await walk(site, "user_id=eva", 100))
    for query, path in (("scores=yes", "scores"), ("scores=true&limit=51", "limit")):
        refused = problem(await site.get(f"{PATH}?user_id=eva&{query}", "server"), 422, "invalid")
        assert refused["errors"][0]["path"] == path


async def test_scores_know_the_quarantine_however_many_boards_an_event_feeds(site: Site) -> None:
    rule = {"event_type": "leap_ended", "operator": "best", "field": "score", "plausibility": {"score_max": 100}}
    for number in range(25):
        await site.put(f"/api/leaderboards/leap-{number:02}", rule)
    events = [{"event_type": "leap_ended", "user_id": "lea", "payload": {"score": 101}}] * 50
    assert (await site.post(PATH, events, "server")).status_code == 202
    await site.work()
    found = await walk(site, "user_id=lea&scores=true", 50)
    assert len(found) == 50
    for each in found:
        assert [score["quarantine"] for score in each["scores"]] == ["held"] * 20


async def test_times_bound_the_list(site: Site) -> None:
    for second in range(5):
        await site.core.apply(event("tom", second), received_at=NOON + timedelta(seconds=second))
    found = await walk(site, "user_id=tom&from=2026-11-24T12:00:01Z&to=2026-11-24T12:00:03Z", 100)
    assert [each["payload"]["score"] for each in found] == [2, 1]
    assert await walk(site, "user_id=nobody", 100) == []


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("cursor=nonsense", "cursor"),
        ("user_id=a%00b", "user_id"),
        ("event_type=" + "t" * 51, "event_type"),
        ("user_id=ann&limit=0", "limit"),
        ("user_id=ann&limit=1001", "limit"),
        ("user_id=ann&from=yesterday", "from"),
        ("user_id=ann&to=2026-11-24", "to"),
        ("user_id=ann&cursor=nonsense", "cursor"),
    ],
)
async def test_what_makes_no_sense_is_refused(site: Site, query: str, path: str) -> None:
    answer = await site.get(f"{PATH}?{query}", "server")
    assert problem(answer, 422, "invalid")["errors"][0]["path"] == path
