"""Who may what in the console: every route beside every role, forms without a token, log-ins, and sessions that end."""

import re
from collections.abc import Iterator

import httpx
import pyotp
import pytest

from grandstand.console.app import ROUTES
from tests.console.conftest import PASSWORD, ROLES, Console

pytestmark = pytest.mark.timeout(300)

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
    "GET /console/leaderboards/new": LIVE_OPS,
    "POST /console/leaderboards/new": LIVE_OPS,
    "GET /console/leaderboards/{key}": VIEWER,
    "GET /console/leaderboards/{key}/edit": LIVE_OPS,
    "POST /console/leaderboards/{key}/edit": LIVE_OPS,
    "POST /console/leaderboards/{key}/reset": LIVE_OPS,
    "POST /console/leaderboards/{key}/delete": LIVE_OPS,
    "POST /console/leaderboards/{key}/remove": LIVE_OPS,
    "GET /console/tournaments": VIEWER,
    "GET /console/tournaments/new": LIVE_OPS,
    "POST /console/tournaments/new": LIVE_OPS,
    "GET /console/tournaments/{tournament_id}": VIEWER,
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
    "POST /console/operators/{name}/totp": ADMIN,
    "POST /console/operators/{name}/totp-off": ADMIN,
    "GET /boards/{key}": EVERYONE,
}
ORDER = (VIEWER, LIVE_OPS, ADMIN)


def rows() -> Iterator[tuple[str, str, str | None]]:
    for name, role in TABLE.items():
        method, _, template = name.partition(" ")
        # Nothing has this name: who may is told so, and nothing changes.
        yield method, re.sub(r"\{\w+\}", "nobody", template), role


def token_of(client: httpx.Client) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]+)"', client.get("/console").text)
    assert found is not None
    return found[1]


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert {f"{route.method} {re.sub(r':str', '', route.path)}" for route in ROUTES} == set(TABLE)
    assert len(ROUTES) == len(TABLE)


@pytest.mark.parametrize("name", [None, *ROLES])
def test_every_route_answers_those_who_may_and_nobody_else(console: Console, name: str | None) -> None:
    with console.client(name) as client:
        token = token_of(client) if name else ""
        for method, path, least in rows():
            if path in ("/console/log-out", "/console/log-in"):
                continue
            data = {"form_token": token} if method == "POST" else None
            answer = client.request(method, path, data=data)
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


def test_no_form_counts_without_the_token_of_its_session(console: Console) -> None:
    with console.client("liv") as other:
        foreign = token_of(other)
    with console.client("ann") as client:
        token = token_of(client)
        for method, path, least in rows():
            if method == "POST" and least is not None:
                for data in ({}, {"form_token": ""}, {"form_token": foreign}):
                    assert client.post(path, data=data).status_code == 403, path
                elsewhere = {"Sec-Fetch-Site": "cross-site"}
                assert client.post(path, data={"form_token": token}, headers=elsewhere).status_code == 403, path
                evil = {"Origin": "https://evil.example"}
                assert client.post(path, data={"form_token": token}, headers=evil).status_code == 403, path


def test_a_session_ends_at_once(console: Console) -> None:
    async def add(operators):
        await operators.add("temp", "live-ops", PASSWORD)

    console.manage(add)
    answer = console.log_in("temp", PASSWORD)
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert "Path=/console" in answer.headers["set-cookie"]
    with console.client("temp") as client:
        assert client.get("/console/leaderboards/new").status_code == 200
        console.manage(lambda operators: operators.set_role("temp", "viewer"))
        assert client.get("/console/leaderboards/new").status_code == 403
        console.manage(lambda operators: operators.disable("temp"))
        assert client.get("/console").status_code == 303
        console.manage(lambda operators: operators.enable("temp"))
        assert client.get("/console").status_code == 303
    assert console.log_in("temp", PASSWORD).status_code == 303


def test_a_code_is_asked_for_and_counts_once(console: Console) -> None:
    async def add(operators):
        await operators.add("coded", "viewer", PASSWORD)
        return await operators.make_totp("coded")

    totp = pyotp.TOTP(console.manage(add).secret)
    refused = console.log_in("coded", PASSWORD)
    assert refused.status_code == 401
    assert console.log_in("coded", PASSWORD, "123").status_code == 401
    code = totp.now()
    assert console.log_in("coded", PASSWORD, code).status_code == 303
    assert console.log_in("coded", PASSWORD, code).status_code == 401


def test_refusals_are_alike_and_then_there_are_no_more(console: Console) -> None:
    unknown, wrong = console.log_in("nobody", PASSWORD), console.log_in("vera", "a wrong password")
    assert (unknown.status_code, wrong.status_code) == (401, 401)
    assert unknown.text.replace("nobody", "vera") == wrong.text
    assert "set-cookie" not in wrong.headers
    codes = [console.log_in("nobody", "guess").status_code for _ in range(11)]
    assert codes[-1] == 429
    many = [console.log_in(f"guess-{number}", "", address="10.1.1.1").status_code for number in range(21)]
    assert many == [401] * 20 + [429]
    # Whoever goes on to a page of ours after logging in goes to no other.
    with console.client(None) as client:
        for target in ("https://evil.example", "//evil.example", "/console/\\evil.example", "/api"):
            assert "evil" not in client.get("/console/log-in", params={"to": target}).text
