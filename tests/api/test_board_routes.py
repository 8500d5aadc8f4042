"""Periods, segments, buckets, tiers, resets, removals and direct scores over HTTP, and who may use them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from grandstand import clock
from tests.api.conftest import Site, problem
from tests.support.core import NOON, event

pytestmark = pytest.mark.anyio
BOARD = {"event_type": "run", "operator": "best", "field": "score"}
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, NOON)


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    monkeypatch.setattr(clock, "now", lambda: moment)


async def define(site: Site, key: str, **values: Any) -> str:
    answer = await site.put(f"/api/leaderboards/{key}", BOARD | {"event_type": key} | values)
    assert answer.status_code == 201, answer.text
    return f"/api/leaderboards/{key}"


async def score(site: Site, key: str, user: str, score: int, at: datetime = NOON, **more: Any) -> None:
    await site.core.apply(event(user, event_type=key, at=at, payload={"score": score} | more), received_at=at)


def users(page: dict[str, Any]) -> list[str]:
    return [entry["user_id"] for entry in page["entries"]]


async def test_a_daily_board_rolls_over_and_its_past_stays(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await define(site, "daily", period="daily", timezone="America/New_York", segment_by="country")
    await score(site, "daily", "ann", 10, country="US")
    page = (await site.get(path)).json()
    assert (page["period"], page["period_ends_at"]) == ("20261124T050000Z", "2026-11-25T05:00:00Z")
    assert (await site.get(f"{path}/definition")).json()["period_ends_at"] == "2026-11-25T05:00:00Z"
    assert (await site.get(f"{path}/periods")).json() == {"periods": [], "next_cursor": None}

    set_clock(monkeypatch, NOON + DAY)
    page = (await site.get(path)).json()
    assert (page["period"], page["total"], page["entries"]) == ("20261125T050000Z", 0, [])
    problem(await site.get(f"{path}/users/ann"), 404, "not_ranked")
    await score(site, "daily", "bob", 5, NOON + DAY)
    await site.core.new_closer().close()

    listed = (await site.get(f"{path}/periods")).json()["periods"]
    assert listed == [
        {"id": "20261124T050000Z", "started_at": "2026-11-24T05:00:00Z", "ended_at": "2026-11-25T05:00:00Z", "total": 1}
    ]
    past = f"period={listed[0]['id']}"
    assert users((await site.get(f"{path}?{past}")).json()) == ["ann"]
    assert (await site.get(f"{path}/users/ann?{past}")).json()["rank"] == 1
    assert users((await site.get(f"{path}/users/ann/nearby?{past}")).json()) == ["ann"]
    found = (await site.post(f"{path}/lookup?{past}", {"user_ids": ["ann", "bob"]})).json()
    assert (users(found), found["not_ranked"], found["period"]) == (["ann"], ["bob"], listed[0]["id"])
    assert users((await site.get(path)).json()) == ["bob"]

    # Told once, for all its parts, however often it is asked for.
    await site.core.new_closer().close()
    told = await site.core.database.pool.fetch(
        "SELECT payload FROM webhook_events WHERE type = 'leaderboard.period_closed'"
    )
    assert [json.loads(row["payload"]) for row in told] == [
        {"leaderboard": "daily", "period": listed[0]["id"]}
        | {name: listed[0][name] for name in ("started_at", "ended_at", "total")}
    ]


async def test_pages_of_an_archive_and_of_the_list_of_periods(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await define(site, "hours", period="hourly")
    for hour in range(5):
        await site.core.apply(
            *(
                event(f"u{number}", number, event_type="hours", at=NOON + timedelta(hours=hour))
                for number in range(5 + hour)
            ),
            received_at=NOON + timedelta(hours=hour),
        )
    set_clock(monkeypatch, NOON + timedelta(hours=5))
    await site.core.new_closer().close()
    ids: list[str] = []
    cursor: str | None = None
    while True:
        query: dict[str, Any] = {"limit": 2} | ({} if cursor is None else {"cursor": cursor})
        listed = (await site.get(f"{path}/periods", params=query)).json()
        ids += [each["id"] for each in listed["periods"]]
        cursor = listed["next_cursor"]
        if cursor is None:
            break
    assert ids == [f"20261124T{12 + hour}0000Z" for hour in (4, 3, 2, 1, 0)]
    query = {"period": ids[0], "limit": 4}
    first = (await site.get(path, params=query)).json()
    second = (await site.get(path, params=query | {"cursor": first["next_cursor"]})).json()
    assert users(first) + users(second) == [f"u{number}" for number in range(8, 0, -1)]
    assert users((await site.get(path, params=query | {"from_rank": 8})).json()) == ["u1", "u0"]
    other = await site.get(path, params={"period": ids[1], "cursor": first["next_cursor"]})
    assert problem(other, 422, "invalid")["errors"][0]["path"] == "cursor"
    running = await site.get(path, params={"cursor": first["next_cursor"]})
    assert problem(running, 422, "invalid")["errors"][0]["path"] == "cursor"


async def test_a_reset_begins_anew_at_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await define(site, "seasons")
    await score(site, "seasons", "ann", 10)
    set_clock(monkeypatch, NOON + timedelta(hours=1))
    answer = await site.post(f"{path}/reset", b"", "server")
    assert (answer.status_code, answer.json()["key"]) == (200, "seasons")
    page = (await site.get(path)).json()
    assert (page["total"], page["period"], page["period_ends_at"]) == (0, "20261124T130000Z", None)
    assert [each["id"] for each in (await site.get(f"{path}/periods")).json()["periods"]] == ["all_time"]
    # It occurred before the reset and arrives within the grace.
    await score(site, "seasons", "bob", 99)
    assert users((await site.get(f"{path}?period=all_time")).json()) == ["bob", "ann"]
    await score(site, "seasons", "cleo", 1, NOON + timedelta(hours=1))
    assert users((await site.get(path)).json()) == ["cleo"]
    set_clock(monkeypatch, NOON + timedelta(hours=2))
    await site.core.new_closer().close()
    assert users((await site.get(f"{path}?period=all_time")).json()) == ["bob", "ann"]


async def test_an_archive_outlives_another_period(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await define(site, "changed")
    await score(site, "changed", "ann", 10)
    set_clock(monkeypatch, datetime(2026, 11, 24, tzinfo=UTC))
    assert (await site.post(f"{path}/reset", b"", "server")).status_code == 200
    set_clock(monkeypatch, NOON + DAY)
    await site.core.new_closer().close()
    assert (await site.put(path, BOARD | {"event_type": "changed", "period": "daily"})).status_code == 200
    listed = (await site.get(f"{path}/periods")).json()["periods"]
    assert [each["id"] for each in listed] == ["all_time"]
    assert users((await site.get(f"{path}?period=all_time")).json()) == ["ann"]
    assert (await site.get(path)).json()["total"] == 0


@pytest.mark.parametrize(
    "period",
    ["2020", "20200101T000000Z", "20261124T120001Z", "99991231T235959Z", "00010101T000000Z", "18000101T000000Z",
     "daily", "2026-11-24", "20261124T000000", "\u0662\u0660\u0662\u0666\u0661\u0661\u0662\u0664T000000Z", "'; --",
     "%ff"],
)  # fmt: skip
@pytest.mark.parametrize("key", ["odd-daily", "odd-cron", "odd-all"])
async def test_periods_that_are_none(site: Site, key: str, period: str) -> None:
    kind = {"odd-daily": "daily", "odd-cron": "cron: 0 0 29 2 1", "odd-all": "all_time"}[key]
    await site.put(f"/api/leaderboards/{key}", BOARD | {"period": kind})
    for path in ("", "/users/ann", "/users/ann/nearby"):
        answer = await site.get(f"/api/leaderboards/{key}{path}", params={"period": period})
        assert answer.status_code == 404, answer.text
        problem(answer, 404, "period_not_found")
    answer = await site.get(f"/api/leaderboards/{key}/periods", params={"cursor": "no"})
    assert problem(answer, 422, "invalid")["errors"][0]["path"] == "cursor"


async def test_segments(site: Site) -> None:
    path = await define(site, "countries", segment_by="geo.country")
    for user, points, country in (("ann", 5, "DE"), ("bob", 9, "FR"), ("cleo", 7, "DE"), ("dan", 1, "ДЕ/1 😀")):
        await score(site, "countries", user, points, geo={"country": country})
    assert users((await site.get(path)).json()) == ["bob", "cleo", "ann", "dan"]
    german = (await site.get(f"{path}?segment=DE")).json()
    assert (users(german), german["segment"], german["total"]) == (["cleo", "ann"], "DE", 2)
    rank = (await site.get(f"{path}/users/ann?segment=DE")).json()
    assert (rank["rank"], rank["total"], rank["percentile"], rank["segment"]) == (2, 2, 50.0, "DE")
    assert users((await site.get(path, params={"segment": "ДЕ/1 😀"})).json()) == ["dan"]
    assert (await site.get(f"{path}?segment=nobody")).json()["total"] == 0
    problem(await site.get(f"{path}/users/bob?segment=DE"), 404, "not_ranked")
    first = (await site.get(f"{path}?segment=DE&limit=1")).json()
    other = await site.get(path, params={"segment": "FR", "cursor": first["next_cursor"]})
    assert problem(other, 422, "invalid")["errors"][0]["path"] == "cursor"
    named = (await site.get(f"{path}?segment=DE", await site.token("bob"))).json()
    assert named["user"] is None


async def test_buckets(site: Site) -> None:
    path = await define(site, "cohorts", bucket_size=2)
    for number, user in enumerate(["ann", "bob", "cleo", "dan", "eve"]):
        await score(site, "cohorts", user, number)
    numbers = {user: (await site.get(f"{path}/users/{user}")).json()["bucket"] for user in ("ann", "cleo", "eve")}
    assert len(set(numbers.values())) == 3
    page = (await site.get(f"{path}?bucket={numbers['cleo']}")).json()
    assert (users(page), page["bucket"], page["total"]) == (["dan", "cleo"], numbers["cleo"], 2)
    token = await site.token("cleo")
    own = (await site.get(f"{path}?bucket=own", token)).json()
    assert (users(own), own["user"]["rank"]) == (["dan", "cleo"], 2)
    assert users((await site.get(f"{path}?bucket=own&user_id=ann")).json()) == ["bob", "ann"]
    assert (await site.get(f"{path}/users/cleo?bucket=own")).json()["rank"] == 2
    assert users((await site.get(f"{path}/users/cleo/nearby?bucket=own")).json()) == ["dan", "cleo"]
    problem(await site.get(f"{path}?bucket=own", await site.token("zoe")), 404, "not_ranked")
    for bucket in ("own", "0", "-1", "x", "1.5", "9" * 11, "\u0661", "2147483648", " "):
        body = problem(await site.get(path, params={"bucket": bucket}), 422, "invalid")
        assert [each["path"] for each in body["errors"]] == ["bucket"]
    assert (await site.get(f"{path}?bucket=2147483647")).json()["total"] == 0


@pytest.mark.parametrize("segment", ["\x00", "x" * 65])
async def test_segments_that_cannot_be(site: Site, segment: str) -> None:
    await site.put("/api/leaderboards/odd-segments", BOARD | {"segment_by": "country"})
    answer = await site.get("/api/leaderboards/odd-segments", params={"segment": segment})
    assert [each["path"] for each in problem(answer, 422, "invalid")["errors"]] == ["segment"]
    both = await site.get("/api/leaderboards/odd-segments?segment=a&bucket=1")
    assert [each["path"] for each in problem(both, 422, "invalid")["errors"]] == ["bucket"]


async def test_tiers_metadata_and_tie_breaks(site: Site) -> None:
    path = await define(
        site,
        "full",
        keep=["level", "car.name"],
        tiers=[{"id": "gold", "top_percent": 25}, {"id": "silver", "top_percent": 50}],
        tie_breaks=[{"field": "assists"}, {"field": "deaths", "order": "asc"}],
    )
    for user, assists, deaths in (("ann", 1, 9), ("bob", 5, 5), ("cleo", 5, 2), ("dan", 0, 0)):
        await score(site, "full", user, 10, assists=assists, deaths=deaths, level=7, car={"name": user.upper()})
    page = (await site.get(path)).json()
    assert [(entry["user_id"], entry["tier"]) for entry in page["entries"]] == [
        ("cleo", "gold"), ("bob", "silver"), ("ann", None), ("dan", None),
    ]  # fmt: skip
    assert page["entries"][0]["metadata"] == {"level": 7, "car.name": "CLEO"}
    one = (await site.get(f"{path}/users/bob")).json()
    assert (one["tier"], one["metadata"]["car.name"], one["rank"]) == ("silver", "BOB", 2)
    plain = await define(site, "plain")
    await score(site, "plain", "ann", 1)
    entry = (await site.get(plain)).json()["entries"][0]
    assert not {"tier", "metadata"} & entry.keys()


async def test_nearby_is_right_at_both_ends_and_every_page_has_the_own_entry(site: Site) -> None:
    path = await define(site, "ends")
    names = [f"u{number:02}" for number in range(20)]
    for number, user in enumerate(names):
        await score(site, "ends", user, 100 - number)
    for user, wanted in (("u00", names[:4]), ("u01", names[:5]), ("u18", names[16:]), ("u19", names[17:])):
        page = (await site.get(f"{path}/users/{user}/nearby?above=2&below=3")).json()
        start = max(0, names.index(user) - 2)
        assert users(page) == names[start : names.index(user) + 4]
        assert set(wanted) >= set(users(page)) or users(page) == wanted
        assert (page["user"]["user_id"], page["next_cursor"]) == (user, None)
        assert [entry["rank"] for entry in page["entries"]] == list(range(start + 1, start + 1 + len(page["entries"])))
    alone = (await site.get(f"{path}/users/u07/nearby?above=0&below=0")).json()
    assert users(alone) == ["u07"]
    for query in ("above=-1", "below=101", "above=x"):
        problem(await site.get(f"{path}/users/u07/nearby?{query}"), 422, "invalid")
    token, cursor = await site.token("u19"), None
    for _ in range(4):
        page = (await site.get(path, token, params={"limit": 5} | ({"cursor": cursor} if cursor else {}))).json()
        assert page["user"]["rank"] == 20
        cursor = page["next_cursor"]
    assert cursor is None


async def test_a_removed_player_is_gone_and_may_come_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = await define(site, "removals", operator="sum", segment_by="country")
    await score(site, "removals", "ann/1", 5, country="DE")
    await score(site, "removals", "bob", 4, country="DE")
    for who, status in ((None, 401), ("client", 403), (await site.token("ann/1"), 403)):
        assert (await site.delete(f"{path}/users/ann%2F1", who)).status_code == status
    gone = await site.delete(f"{path}/users/ann%2F1")
    assert (gone.status_code, gone.content) == (204, b"")
    problem(await site.delete(f"{path}/users/ann%2F1"), 404, "not_ranked")
    problem(await site.delete("/api/leaderboards/nothing/users/ann"), 404, "leaderboard_not_found")
    problem(await site.delete(f"{path}/users/%00"), 422, "invalid")
    for suffix in ("", "?segment=DE"):
        assert users((await site.get(path + suffix)).json()) == ["bob"]
    # What arrived before the removal counts no more, even when a worker comes to it later.
    await score(site, "removals", "ann/1", 7, NOON - timedelta(seconds=1), country="DE")
    problem(await site.get(f"{path}/users/ann%2F1"), 404, "not_ranked")
    await score(site, "removals", "ann/1", 2, NOON + timedelta(seconds=1), country="DE")
    assert (await site.get(f"{path}/users/ann%2F1")).json()["score"] == 2


async def test_who_may_reset_and_write(site: Site) -> None:
    await define(site, "guarded")
    for who, status in ((None, 401), ("client", 403), (await site.token("ann"), 403)):
        for suffix, body in (("reset", b""), ("scores", {"user_id": "ann", "score": 1})):
            answer = await site.post(f"/api/leaderboards/guarded/{suffix}", body, who)
            assert answer.status_code == status
    for suffix, body in (("reset", b""), ("scores", {"user_id": "ann", "score": 1})):
        problem(await site.post(f"/api/leaderboards/nothing/{suffix}", body, "server"), 404, "leaderboard_not_found")


async def test_private_boards_hide_their_parts_and_periods(site: Site) -> None:
    path = await define(site, "closed", visibility="private", segment_by="country")
    await score(site, "closed", "ann", 1, country="DE")
    token = await site.token("ann")
    for suffix in ("?segment=DE", "?period=all_time", "/periods", "/users/bob?segment=DE", "/users/ann/nearby"):
        problem(await site.get(path + suffix), 401, "unauthorized")
        problem(await site.get(path + suffix, "client"), 403, "forbidden")
        problem(await site.get(path + suffix, token), 403, "forbidden")
        assert (await site.get(path + suffix, "server")).status_code in (200, 404)
    answer = await site.get(f"{path}/users/ann?segment=DE", token)
    assert (answer.json()["rank"], answer.headers["cache-control"]) == (1, "private, no-store")


async def test_direct_scores_count_once(site: Site) -> None:
    path = await define(site, "direct", operator="sum", where={"mode": "ranked"}, min_score=-5, max_score=100)
    first = str(uuid4())
    for _ in range(3):
        answer = await site.post(f"{path}/scores", {"user_id": "ann", "score": 7, "id": first}, "server")
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "id": first})
    made = await site.post(f"{path}/scores", b'{"user_id": "ann", "score": 0.0500e2}', "server")
    assert made.json()["id"] != first
    await site.work()
    assert (await site.get(f"{path}/users/ann")).json()["score"] == 12
    await site.post(f"{path}/scores", {"user_id": "ann", "score": 7, "id": first}, "server")
    await site.work()
    assert (await site.get(f"{path}/users/ann")).json()["score"] == 12
    assert (await site.get("/api/leaderboards/global/users/ann")).status_code in (200, 404)


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        (b"", 400, None), (b"{", 400, None), (b"[]", 422, "$"), (b"{}", 422, "user_id"),
        (b'{"user_id":"a"}', 422, "score"),
        (b'{"user_id":"a","score":null}', 422, "score"), (b'{"user_id":"a","score":"7"}', 422, "score"),
        (b'{"user_id":"a","score":true}', 422, "score"), (b'{"user_id":"a","score":1.5}', 422, "score"),
        (b'{"user_id":"a","score":9007199254740992}', 422, "score"), (b'{"user_id":"a","score":[1]}', 422, "score"),
        (b'{"user_id":"a","score":123456789012345678901234567890}', 422, "score"),
        (b'{"user_id":"a","score":4503599627370496.1}', 422, "score"),
        (b'{"user_id":"a","score":7.00000000000000000001}', 422, "score"),
        (b'{"user_id":"a","score":1e-400}', 422, "score"), (b'{"user_id":"a","score":1e999}', 422, "score"),
        (b'{"user_id":"a","score":1e-99999999999999999999}', 422, "score"),
        (b'{"user_id":"a","score":0e99999999999999999999}', 422, "score"),
        (b'{"user_id":"a","score":-6}', 422, "score"), (b'{"user_id":"a","score":101}', 422, "score"),
        (b'{"user_id":"","score":1}', 422, "user_id"), (b'{"user_id":"a\\u0000","score":1}', 422, "user_id"),
        (b'{"user_id":7,"score":1}', 422, "user_id"), (b'{"user_id":"\\ud800","score":1}', 400, None),
        (b'{"user_id":"a","score":1,"id":"x"}', 422, "id"), (b'{"user_id":"a","score":1,"extra":1}', 422, "extra"),
    ],
)  # fmt: skip
async def test_direct_scores_that_are_wrong(site: Site, body: bytes, status: int, field: str | None) -> None:
    await site.put("/api/leaderboards/strict", BOARD | {"min_score": -5, "max_score": 100})
    answer = await site.post("/api/leaderboards/strict/scores", body, "server")
    found = problem(answer, status, "malformed" if status == 400 else "invalid")
    if field is not None:
        assert [each["path"] for each in found["errors"]] == [field]
    assert await site.count_streamed() == 0


async def test_a_board_that_counts_takes_any_number_that_can_be_kept(site: Site) -> None:
    path = await define(site, "direct-count", operator="count")
    for score in (b"1.5", b"7.00000000000000000001", b"1e-330"):
        body = b'{"user_id":"ann","score":%b}' % score
        assert (await site.post(f"{path}/scores", body, "server")).status_code == 202
    problem(await site.post(f"{path}/scores", b'{"user_id":"ann","score":1e999}', "server"), 422, "invalid")
    await site.work()
    assert (await site.get(f"{path}/users/ann")).json()["score"] == 3


@pytest.mark.parametrize("who", ["server", "token"])
async def test_nobody_sends_events_of_our_own_types(site: Site, who: str) -> None:
    credential = await site.token("ann") if who == "token" else who
    forged = {"event_type": "grandstand.score", "user_id": "ann", "payload": {"leaderboard": "global", "score": 5}}
    body = problem(await site.post("/api/events", forged, credential), 422, "invalid")
    assert body["rejected"][0]["code"] == "invalid_event_type"
    line = b'{"event_type":"grandstand.x","user_id":"ann"}\n'
    if who == "server":
        report = (await site.post("/api/events/import", line, "server")).json()
        assert (report["accepted"], report["rejected"][0]["code"]) == (0, "invalid_event_type")
    assert await site.count_streamed() == 0


async def test_a_board_made_anew_begins_empty(site: Site) -> None:
    for _ in range(3):
        path = await define(site, "again")
        assert (await site.get(path)).json()["total"] == 0
        await score(site, "again", "ann", 1)
        assert (await site.get(path)).json()["total"] == 1
        assert (await site.delete(path)).status_code == 204
        problem(await site.get(path), 404, "leaderboard_not_found")


async def test_a_replay_leaves_archives_and_makes_the_rest_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monday = datetime(2026, 11, 23, 12, tzinfo=UTC)
    set_clock(monkeypatch, monday)
    path = await define(site, "remade", period="daily")
    for user, points, at in (
        ("ann", 5, monday),
        ("ann", 6, monday),
        ("ann", 7, monday + DAY),
        ("bob", 8, monday + DAY),
    ):
        await score(site, "remade", user, points, at)
    set_clock(monkeypatch, monday + DAY)
    await site.core.new_closer().close()
    await site.core.refresh()
    definition = site.core.board("remade").definition
    sums = msgspec.structs.replace(definition, operator="sum")
    outcome = await site.core.new_replayer().replay("remade", sums, dry_run=False)
    assert (outcome.moved, outcome.is_in_force) == (0, True)
    await site.core.refresh()
    await site.core.new_closer().close()
    listed = (await site.get(f"{path}/periods")).json()["periods"]
    assert [(each["id"], each["total"]) for each in listed] == [("20261123T000000Z", 1)]
    assert (await site.get(f"{path}?period=20261123T000000Z")).json()["entries"][0]["score"] == 6, "as it was archived"
    assert users((await site.get(path)).json()) == ["bob", "ann"]

    # The week would begin when the archived day began: it begins behind it, and counts what occurred since.
    weekly = msgspec.structs.replace(definition, operator="sum", period="weekly")
    await site.core.new_replayer().replay("remade", weekly, dry_run=False)
    await site.core.refresh()
    page = (await site.get(path)).json()
    assert [(each["user_id"], each["score"]) for each in page["entries"]] == [("bob", 8), ("ann", 7)]
    assert (page["period"], page["period_ends_at"]) == ("20261124T000000Z", "2026-11-30T00:00:00Z")
    assert (await site.get(f"{path}?period=20261123T000000Z")).json()["entries"][0]["score"] == 6, "as it was archived"


async def test_an_archive_is_never_taken_for_the_running_period(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monday = datetime(2026, 11, 23, 12, tzinfo=UTC)
    set_clock(monkeypatch, monday)
    path = await define(site, "slower", period="daily")
    await score(site, "slower", "ann", 5, monday)
    set_clock(monkeypatch, monday + DAY)
    await site.core.new_closer().close()
    weekly = BOARD | {"event_type": "slower", "period": "weekly"}
    assert (await site.put(path, weekly)).status_code == 200
    page = (await site.get(path)).json()
    assert (page["period"], page["period_ends_at"], page["total"]) == ("20261124T000000Z", "2026-11-30T00:00:00Z", 0)
    assert users((await site.get(f"{path}?period=20261123T000000Z")).json()) == ["ann"]
