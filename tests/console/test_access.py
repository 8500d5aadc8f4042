"""Who may what in the console: every route beside every role, forms without a token, log-ins, sessions that end, and
that nobody's page makes PostgreSQL read without a bound.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pyotp
import pytest

import grandstand
from grandstand.api.problems import RateLimitedError
from grandstand.console.app import ROUTES
from grandstand.domain.errors import UnauthorizedError
from grandstand.operations import kept_reports
from grandstand.operations.analytics_views import Answer
from grandstand.operations.live_channel import Update
from grandstand.operations.operator_sessions import OperatorSessions
from grandstand.operations.passwords import Passwords
from grandstand.operations.read_analytics import AT_ONCE_EVENTS_MAX
from grandstand.storage.analytics import AnalyticsStore
from grandstand.storage.operators import OperatorStore
from tests.console.conftest import ROLES
from tests.console.door import CHEAP, PASSWORD, Door, token_of

pytestmark = pytest.mark.anyio

VIEWER, LIVE_OPS, ADMIN, EVERYONE = "viewer", "live-ops", "admin", None
TABLE: dict[str, str | None] = {
    # The least role that may; a role includes those before it.
    "GET /console/static/{digest}/{name}": EVERYONE,
    "GET /console/log-in": EVERYONE,
    "POST /console/log-in": EVERYONE,
    "POST /console/log-out": VIEWER,
    "GET /console": VIEWER,
    "GET /console/charts/events.svg": VIEWER,
    "GET /console/leaderboards": VIEWER,
    "GET /console/leaderboards/-/new": LIVE_OPS,
    "POST /console/leaderboards/-/new": LIVE_OPS,
    "POST /console/leaderboards/-/check": LIVE_OPS,
    "GET /console/leaderboards/{key}": VIEWER,
    "POST /console/leaderboards/{key}/check": LIVE_OPS,
    "GET /console/leaderboards/{key}/replay": VIEWER,
    "POST /console/leaderboards/{key}/replay": LIVE_OPS,
    "POST /console/leaderboards/{key}/preview": LIVE_OPS,
    "POST /console/leaderboards/{key}/apply": LIVE_OPS,
    "GET /console/leaderboards/{key}/edit": LIVE_OPS,
    "POST /console/leaderboards/{key}/edit": LIVE_OPS,
    "POST /console/leaderboards/{key}/reset": LIVE_OPS,
    "POST /console/leaderboards/{key}/delete": LIVE_OPS,
    "POST /console/leaderboards/{key}/remove": LIVE_OPS,
    "GET /console/tournaments": VIEWER,
    "GET /console/tournaments/-/new": LIVE_OPS,
    "POST /console/tournaments/-/new": LIVE_OPS,
    "POST /console/tournaments/-/check": LIVE_OPS,
    "GET /console/tournaments/-/calendar": VIEWER,
    "GET /console/tournaments/{tournament_id}": VIEWER,
    "POST /console/tournaments/{tournament_id}/check": LIVE_OPS,
    "GET /console/tournaments/{tournament_id}/edit": LIVE_OPS,
    "POST /console/tournaments/{tournament_id}/edit": LIVE_OPS,
    "POST /console/tournaments/{tournament_id}/end": LIVE_OPS,
    "POST /console/tournaments/{tournament_id}/cancel": LIVE_OPS,
    "POST /console/tournaments/{tournament_id}/join": LIVE_OPS,
    "GET /console/prizes": VIEWER,
    "POST /console/prizes/{prize_id}/claim": LIVE_OPS,
    "POST /console/prizes/{prize_id}/void": LIVE_OPS,
    "GET /console/players": VIEWER,
    "POST /console/players/ban": LIVE_OPS,
    "POST /console/players/unban": LIVE_OPS,
    "POST /console/players/export": LIVE_OPS,
    "POST /console/players/erase": LIVE_OPS,
    "GET /console/events": VIEWER,
    "GET /console/analytics": VIEWER,
    "GET /console/analytics/{report}": VIEWER,
    "GET /console/analytics/{report}/table.csv": VIEWER,
    "GET /console/operation": VIEWER,
    "GET /console/quarantine": VIEWER,
    "POST /console/quarantine/release": LIVE_OPS,
    "POST /console/quarantine/reject": LIVE_OPS,
    "GET /console/dead-letters": ADMIN,
    "GET /console/dead-letters/{letter_id}": ADMIN,
    "POST /console/dead-letters/replay": ADMIN,
    "POST /console/dead-letters/delete": ADMIN,
    "GET /console/keys": ADMIN,
    "POST /console/keys": ADMIN,
    "POST /console/keys/{key_id}/rotate": ADMIN,
    "POST /console/keys/{key_id}/revoke": ADMIN,
    "GET /console/webhooks": ADMIN,
    "POST /console/webhooks": ADMIN,
    "POST /console/webhooks/replay": ADMIN,
    "POST /console/webhooks/{webhook_id}/delete": ADMIN,
    "POST /console/webhooks/{webhook_id}/test": ADMIN,
    "POST /console/webhooks/{webhook_id}/enable": ADMIN,
    "GET /console/audit-log": ADMIN,
    "GET /console/settings": ADMIN,
    "GET /console/operators": ADMIN,
    "POST /console/operators": ADMIN,
    "POST /console/operators/{name}/role": ADMIN,
    "POST /console/operators/{name}/disable": ADMIN,
    "POST /console/operators/{name}/enable": ADMIN,
    "POST /console/operators/{name}/password": ADMIN,
    "POST /console/operators/{name}/end-sessions": ADMIN,
    "POST /console/operators/{name}/totp-off": ADMIN,
    "GET /console/account": VIEWER,
    "POST /console/account/password": VIEWER,
    "GET /console/account/code": VIEWER,
    "GET /console/account/code.svg": VIEWER,
    "POST /console/account/code": VIEWER,
    "GET /console/account/code-off": VIEWER,
    "POST /console/account/code-off": VIEWER,
    "POST /console/account/end-sessions": VIEWER,
    "GET /boards/-/embed.js": EVERYONE,
    "GET /boards/{key}": EVERYONE,
    "GET /boards/{key}/card.png": EVERYONE,
}
ORDER = (VIEWER, LIVE_OPS, ADMIN)


def rows() -> Iterator[tuple[str, str, str | None]]:
    for name, role in TABLE.items():
        method, _, template = name.partition(" ")
        # Nothing has this name: who may is told so, and nothing changes.
        yield method, re.sub(r"\{\w+\}", "nobody", template), role


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert {f"{route.method} {re.sub(r':str', '', route.path)}" for route in ROUTES} == set(TABLE)
    assert len(ROUTES) == len(TABLE)


@pytest.mark.parametrize("name", [None, *ROLES])
async def test_every_route_answers_those_who_may_and_nobody_else(door: Door, name: str | None) -> None:
    async with await door.enter(name) as client:
        token = await token_of(client) if name else ""
        for method, path, least in rows():
            if path in ("/console/log-out", "/console/log-in"):
                continue
            answer = await client.request(method, path, data={"form_token": token} if method == "POST" else None)
            where = f"{method} {path} as {name}: {answer.status_code}"
            assert answer.status_code < 500, where
            if least is None:
                assert answer.status_code in (200, 404), where
            elif name is None:
                assert answer.headers.get("location", "").startswith("/console/log-in"), where
            elif ORDER.index(ROLES[name]) < ORDER.index(least):
                assert answer.status_code == 403, where
                assert "does not reach this" in answer.text
            else:
                assert answer.status_code != 403, where
                assert not answer.headers.get("location", "").startswith("/console/log-in"), where


async def test_no_form_counts_without_the_token_of_its_session(door: Door) -> None:
    async with await door.enter("liv") as other:
        foreign = await token_of(other)
    async with await door.enter("ann") as client:
        token = {"form_token": await token_of(client)}
        for method, path, least in rows():
            if method == "POST" and least is not None:
                for data in ({}, {"form_token": ""}, {"form_token": foreign}):
                    assert (await client.post(path, data=data)).status_code == 403, path
                for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
                    assert (await client.post(path, data=token, headers=headers)).status_code == 403, path


async def test_a_session_ends_at_once(door: Door) -> None:
    await door.operators.add("temp", "live-ops", PASSWORD)
    answer = await door.log_in("temp")
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert "Path=/console" in answer.headers["set-cookie"]
    async with door.client(answer.cookies["gs_console"]) as client:
        assert (await client.get("/console/leaderboards/-/new")).status_code == 200
        await door.operators.set_role("temp", "viewer")
        assert (await client.get("/console/leaderboards/-/new")).status_code == 403
        await door.operators.disable("temp")
        assert (await client.get("/console")).status_code == 303
        assert (await door.log_in("temp")).status_code == 401
        await door.operators.enable("temp")
        assert (await client.get("/console")).status_code == 303
    assert (await door.log_in("temp")).status_code == 303


async def test_no_session_begins_with_a_password_that_was_changed_meanwhile(door: Door) -> None:
    """To check a password takes long enough to change it."""

    class Slow(Passwords):
        async def is_of(self, password: str, password_hash: str | None) -> bool:
            is_right = await super().is_of(password, password_hash)
            await door.operators.set_password("slow", "another password")
            return is_right

    await door.operators.add("slow", "viewer", PASSWORD)
    sessions = OperatorSessions(door.site.core.database, OperatorStore(), Slow(CHEAP))
    with pytest.raises(UnauthorizedError):
        await sessions.log_in("slow", PASSWORD, "", None)
    assert (await door.log_in("slow", "another password")).status_code == 303


async def test_logging_out_ends_the_session_and_not_only_the_cookie(door: Door) -> None:
    cookie = (await door.log_in("vera")).cookies["gs_console"]
    async with door.client(cookie) as client:
        await client.post("/console/log-out", data={"form_token": await token_of(client)})
    async with door.client(cookie) as client:
        assert (await client.get("/console")).status_code == 303


async def test_a_code_is_asked_for_and_counts_once(door: Door) -> None:
    await door.operators.add("coded", "viewer", PASSWORD)
    totp = pyotp.TOTP(pyotp.random_base32())
    await door.operators.put_totp("coded", totp.secret, totp.now())
    assert (await door.log_in("coded")).status_code == 401
    assert (await door.log_in("coded", code="123")).status_code == 401
    code = totp.at(time.time() + totp.interval)
    assert (await door.log_in("coded", code=code)).status_code == 303
    assert (await door.log_in("coded", code=code)).status_code == 401


async def test_refusals_are_alike_and_then_there_are_no_more(door: Door) -> None:
    unknown, wrong = await door.log_in("nobody"), await door.log_in("vera", "a wrong password")
    assert (unknown.status_code, wrong.status_code) == (401, 401)
    assert unknown.text.replace("nobody", "vera") == wrong.text
    assert "set-cookie" not in wrong.headers
    assert [(await door.log_in("nobody")).status_code for _ in range(5)] == [401] * 4 + [429]
    codes = [(await door.log_in(f"guess-{number}", address="10.1.1.1")).status_code for number in range(11)]
    assert codes == [401] * 10 + [429]


async def test_a_log_in_goes_on_to_pages_of_the_console_only(door: Door) -> None:
    async with door.client() as client:
        for target in ("https://evil.example", "//evil.example", "/console/\\evil.example", "/api"):
            assert "evil" not in (await client.get("/console/log-in", params={"to": target})).text


async def test_a_log_in_takes_no_session_that_was_there_before(door: Door) -> None:
    async with door.client("chosen-by-somebody-else") as client:
        answer = await client.post("/console/log-in", data={"name": "vera", "password": PASSWORD, "code": ""})
        assert answer.status_code == 303
        assert "chosen" not in answer.headers["set-cookie"]
    async with door.client("chosen-by-somebody-else") as client:
        assert (await client.get("/console")).status_code == 303


async def test_live_streams_of_the_console_need_a_session(door: Door) -> None:
    for cookie in (None, "made-up"):
        async with door.client(cookie) as client:
            for path in ("/console/leaderboards/global/live", "/console/tournaments/none/live"):
                assert (await client.get(path)).status_code == 401


async def test_frames_and_hosts(door: Door) -> None:
    """Only public boards may stand in frames, and they have nothing to click away; no page believes its `Host`."""
    async with await door.enter("ann") as client:
        for path in (
            "/console",
            "/console/log-in",
            "/console/leaderboards/global",
            "/console/nothing",
            "/boards/global",
        ):
            answer = await client.get(path, headers={"Host": "evil.example"})
            policy, is_board = answer.headers["content-security-policy"], path.startswith("/boards/")
            assert ("frame-ancestors 'none'" in policy) is not is_board, path
            assert (answer.headers.get("x-frame-options") == "DENY") is not is_board, path
            assert "evil.example" not in answer.text + str(answer.headers), path
            assert not is_board or ("<form" not in answer.text and "set-cookie" not in answer.headers)


ODD_FORMS = ("\x00", "9" * 5_000, "[" * 2_000, "../../etc/passwd\r\nSet-Cookie: a=b<script>alert(1)</script>")
FIELDS = (
    "key", "id", "name", "title", "event_type", "field", "where", "operator", "order", "period", "timezone",
    "min_score", "max_score", "segment_by", "keep", "tiers", "bucket_size", "tie_breaks", "plausibility",
    "visibility", "starts_at", "ends_at", "join", "max_players", "max_attempts", "claim_days", "repeat", "prizes",
    "kind", "scopes", "expires_at", "url", "event_types", "description", "role", "password", "again", "code",
    "reason", "user_id", "event_id", "endpoint_id", "to", "current_password", "password_again", "set_up",
)  # fmt: skip


async def test_no_form_stumbles_over_odd_values(door: Door) -> None:
    async with await door.enter("ann") as client:
        token = await token_of(client)
        for method, path, _ in rows():
            if method != "POST" or path in ("/console/log-out", "/console/log-in"):
                continue
            for odd in ODD_FORMS:
                answer = await client.post(path, data=dict.fromkeys(FIELDS, odd) | {"form_token": token})
                assert answer.status_code < 500, (path, odd)
                is_page = answer.headers.get("content-type", "").startswith("text/html")
                assert not is_page or "<script>alert" not in answer.text, (path, odd)
                assert "set-cookie" not in answer.headers, (path, odd)
        for content in (b"form_token=%ff&x=%ff", b"\xff\xfe", b"&" * 5_000):
            answer = await client.post(
                "/console/keys", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
            )
            assert 400 <= answer.status_code < 500, content[:20]


SQL = Path(next(iter(grandstand.__path__))) / "storage" / "sql"
WITHOUT_LIMIT = {
    "analytics/count_active.sql": "one row a day, of 92 at most, over 200,000 events at most",
    "analytics/count_events.sql": "one number, over a row a day, of 366 at most",
    "analytics/are_kept.sql": "whether there is one, of 151 days at most",
    "analytics/count_days.sql": "one row a day, of 92 at most",
    "analytics/count_new.sql": "one row a day, of 92 at most",
    "analytics/kept_active.sql": "one row a day, of 92 at most",
    "analytics/kept_cohorts.sql": "one row a day, of 92 at most",
    "analytics/list_sessions.sql": "one row a day, of 31 at most, over 200,000 events at most",
    "analytics/has_left.sql": "whether there is one",
    "bans/get.sql": "one row by its key",
    "credentials/find_secret.sql": "one row by its key",
    "credentials/list_keys.sql": "what people make by hand",
    "leaderboards/find_by_key.sql": "one row by its key",
    "leaderboards/list_changed.sql": "what has changed since this process read last",
    "operators/find.sql": "one row by its key",
    "operators/find_sessions.sql": "one row by its key, of as many keys as are asked for",
    "operators/lock.sql": "one row by its key",
    "operators/prune_sessions.sql": "deletes what is over, by an index",
    "players/find.sql": "one row by its key",
    "players/find_seen.sql": "both ends of an index",
    "rankings/find.sql": "one row by its key, of as many keys as are asked for",
    "webhooks/list_endpoints.sql": "what people make by hand",
}
"""Statements of pages that may do without LIMIT, and why."""


async def test_no_page_reads_without_a_bound(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    lend = asyncpg.Pool.acquire

    async def acquire(pool: asyncpg.Pool, *, timeout: float | None = None) -> Any:
        connection = await lend(pool, timeout=timeout)
        connection.add_query_logger(listen)
        return connection

    def listen(query: Any) -> None:
        asked.add(query.query)

    monkeypatch.setattr(asyncpg.Pool, "acquire", acquire)
    async with await door.enter("ann") as client:
        for method, path, _ in rows():
            if method == "GET":
                await client.get(path.replace("boards/nobody", "boards/global"))
        for path in (
            "/console/players?user_id=somebody", "/console/events?user_id=somebody",
            "/console/events?event_type=game_ended",
            "/console/analytics/retention?by=country", "/console/analytics/funnel?step_1=game_ended",
            "/console/analytics/events?interval=hour", "/console/analytics/sessions",
        ):  # fmt: skip
            assert (await client.get(path)).status_code == 200, path
    names = {file.read_text(): str(file.relative_to(SQL)) for file in SQL.rglob("*.sql")}
    read = {query: names.get(query, query) for query in asked if re.search(r"\bFROM\b", query)}
    assert len(read) > 20
    assert [name for name in WITHOUT_LIMIT if not (SQL / name).exists()] == []
    unbounded = {name for query, name in read.items() if not re.search(r"\bLIMIT\b", query)}
    unnamed = sorted(unbounded - set(WITHOUT_LIMIT))
    assert not unnamed, "\n".join(unnamed)


async def test_the_overview_is_made_once_for_all_who_look(door: Door) -> None:
    told: list[Update] = []
    seats = [await door.console.overview.open(is_admin=False) for _ in range(50)]
    for seat in seats:
        seat.listen(told.append, lambda: None)
    await door.console.overview.close()
    assert len(told) == 50
    assert all(update is told[0] for update in told), "each viewer had the overview made for itself"


async def test_a_report_that_is_being_counted_says_so_and_is_asked_for_again(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count_events(*_: Any) -> int:
        return AT_ONCE_EVENTS_MAX + 1

    async def find(*_: Any) -> Answer:
        raise kept_reports.ReportNotReadyError

    monkeypatch.setattr(AnalyticsStore, "count_events", count_events)
    monkeypatch.setattr(kept_reports.KeptReports, "find", find)
    path = "/console/analytics/sessions"
    async with await door.enter("vera") as client:
        for query in ("", "?wait=1"):
            answer = await client.get(path + query)
            assert answer.status_code == 200
            assert "This is being counted" in answer.text
            assert f'hx-get="{path}?wait=1' in answer.text
        answer = await client.get(path + "/table.csv")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_pages_are_answered_to_head_and_only_sent_when_they_are_new(door: Door) -> None:
    async with await door.enter("ann") as client:
        for path in ("/console", "/boards/global", "/boards/global/card.png", "/boards/-/embed.js"):
            assert (await client.head(path)).status_code == 200, path
        assert (await client.get("/boards/-/embed.js")).headers["content-type"] == "text/javascript; charset=utf-8"
        for path in ("/boards/global", "/boards/global/card.png"):
            tag = (await client.get(path)).headers["etag"]
            again = await client.get(path, headers={"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b""), path


async def test_who_comes_too_often_is_told_so_on_a_page(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> None:
        raise RateLimitedError("Too many requests; try again in 7 seconds.", retry_after=7)

    monkeypatch.setattr("grandstand.console.app.admit_visit", refuse)
    async with door.client() as client:
        for accept, kind in (("text/html,*/*;q=0.8", "text/html"), ("*/*", "application/problem+json")):
            answer = await client.get("/console", headers={"Accept": accept})
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
            assert answer.headers["content-type"].startswith(kind)
            assert "try again in 7 seconds" in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_a_chart_has_no_more_labels_than_there_is_room_for(door: Door) -> None:
    for _ in range(40):
        await door.console.load.look()
    async with await door.enter("vera") as client:
        picture = (await client.get("/console/charts/events.svg")).text
    axis = picture.partition('class="axis x"')[2].partition('class="series')[0]
    assert 2 <= axis.count("<text") <= 6


async def test_a_calendar_shows_what_takes_place_on_every_day_that_it_shows(door: Door) -> None:
    cup = {
        "id": "spring", "event_type": "none", "operator": "count", "starts_at": "2097-05-02T10:00:00Z",
        "ends_at": "2097-05-02T12:00:00Z",
    }  # fmt: skip
    await door.console.api.tournaments.create(msgspec.json.encode(cup))
    async with await door.enter("vera") as client:
        for month in ("2097-04", "2097-05"):
            shown = (await client.get(f"/console/tournaments/-/calendar?month={month}")).text
            assert shown.count('href="/console/tournaments/spring"') == 1, month
