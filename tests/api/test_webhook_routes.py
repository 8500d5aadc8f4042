"""Webhooks over HTTP: created, listed, tested, removed; deliveries listed and replayed."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from grandstand.api.webhooks import WEBHOOK_BYTES_MAX
from grandstand.domain.webhooks import EVENT_TYPES
from grandstand.operations.manage_webhooks import ENDPOINTS_MAX
from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio

URL = "https://1.1.1.1/hooks?game=1"
UNKNOWN = "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"


@pytest.fixture(autouse=True)
async def no_webhooks(module_site: Site) -> AsyncIterator[None]:
    """Begin with none, and leave none that other tests would tell."""
    yield
    await module_site.core.database.pool.execute("TRUNCATE webhook_deliveries, webhook_events, webhook_endpoints")


async def create(site: Site, **values: Any) -> dict[str, Any]:
    answer = await site.post("/api/webhooks", {"url": URL} | values, "server")
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def add(site: Site, *numbers: int) -> None:
    async with site.core.database.transaction() as connection:
        for number in numbers:
            await site.core.outbox.add(connection, "prize.claimed", {"number": number})


async def test_a_secret_is_shown_once(site: Site) -> None:
    created = await create(site, event_types=["prize.claimed", "prize.awarded", "prize.claimed"], description="Game ★")
    assert created.pop("secret").startswith("whsec_")
    assert created["event_types"] == ["prize.awarded", "prize.claimed"]
    assert (created["url"], created["description"], created["disabled_at"]) == (URL, "Game ★", None)
    assert (await site.get("/api/webhooks", "admin")).json() == {"webhooks": [created], "next_cursor": None}
    assert (
        await site.client.delete(f"/api/webhooks/{created['id']}", headers=site.headers("server"))
    ).status_code == 204
    assert (await site.get("/api/webhooks", "server")).json() == {"webhooks": [], "next_cursor": None}


async def test_operators_only(site: Site) -> None:
    paths = [
        ("GET", ""), ("POST", ""), ("DELETE", f"/{UNKNOWN}"), ("POST", f"/{UNKNOWN}/test"),
        ("POST", f"/{UNKNOWN}/enable"), ("GET", "/deliveries"), ("POST", f"/deliveries/{UNKNOWN}/{UNKNOWN}/replay"),
    ]  # fmt: skip
    player = await site.token("ann")
    for method, path in paths:
        for who, status, code in (
            (None, 401, "unauthorized"),
            ("client", 403, "forbidden"),
            (player, 403, "forbidden"),
        ):
            answer = await site.client.request(method, f"/api/webhooks{path}", headers=site.headers(who))
            problem(answer, status, code)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "url"),
        ({"url": 1}, "url"),
        ({"url": "ftp://1.1.1.1/"}, "url"),
        ({"url": "http://127.0.0.1:8080/"}, "url"),
        ({"url": "http://localhost/"}, "url"),
        ({"url": "http://[::ffff:127.0.0.1]/"}, "url"),
        ({"url": "http://169.254.169.254/latest/meta-data/"}, "url"),
        ({"url": "https://a:b@1.1.1.1/"}, "url"),
        ({"url": URL, "event_types": ["prize.stolen"]}, "event_types[0]"),
        ({"url": URL, "event_types": [*EVENT_TYPES, "prize.claimed"]}, "event_types"),
        ({"url": URL, "event_types": "prize.claimed"}, "event_types"),
        ({"url": URL, "description": "x" * 201}, "description"),
        ({"url": URL, "description": "a\u0000b"}, "description"),
        ({"url": URL, "secret": "whsec_mine"}, "secret"),
        ([], "$"),
    ],
)
async def test_wrong_values_are_named(site: Site, body: Any, path: str) -> None:
    answer = await site.post("/api/webhooks", body, "server")
    assert problem(answer, 422, "invalid")["errors"][0]["path"] == path
    assert (await site.get("/api/webhooks", "server")).json() == {"webhooks": [], "next_cursor": None}


async def test_bodies_that_cannot_be_read(site: Site) -> None:
    problem(await site.post("/api/webhooks", b"{", "server"), 400, "malformed")
    problem(await site.post("/api/webhooks", b"", "server"), 400, "malformed")
    problem(await site.post("/api/webhooks", b'{"url":"https://\\ud800.example/"}', "server"), 400, "malformed")
    problem(await site.post("/api/webhooks", b" " * (WEBHOOK_BYTES_MAX + 1), "server"), 413, "body_too_large")


async def test_there_is_a_limit(site: Site) -> None:
    for number in range(ENDPOINTS_MAX):
        await create(site, description=str(number))
    answer = await site.post("/api/webhooks", {"url": URL}, "server")
    problem(answer, 409, "webhook_limit_reached")


async def test_pages_of_the_list_give_each_webhook_once(site: Site) -> None:
    made = [(await create(site, description=str(number)))["id"] for number in range(3)]
    first = (await site.get("/api/webhooks?limit=2", "server")).json()
    rest = (await site.get(f"/api/webhooks?limit=2&cursor={first['next_cursor']}", "server")).json()
    assert [[hook["id"] for hook in page["webhooks"]] for page in (first, rest)] == [made[:2], made[2:]]
    assert rest["next_cursor"] is None
    for query, field in (("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=nonsense", "cursor")):
        refused = problem(await site.get(f"/api/webhooks?{query}", "server"), 422, "invalid")
        assert refused["errors"][0]["path"] == field


async def test_unknown_ids(site: Site) -> None:
    for unknown in (UNKNOWN, "x", "%00", "a%2Fb"):
        answer = await site.client.delete(f"/api/webhooks/{unknown}", headers=site.headers("server"))
        problem(answer, 404, "webhook_not_found")
        problem(await site.post(f"/api/webhooks/{unknown}/test", b"", "server"), 404, "webhook_not_found")
        problem(await site.post(f"/api/webhooks/{unknown}/enable", b"", "server"), 404, "webhook_not_found")
        replay = f"/api/webhooks/deliveries/{unknown}/{unknown}/replay"
        problem(await site.post(replay, b"", "server"), 404, "delivery_not_found")


async def test_deliveries_by_page_and_status(site: Site) -> None:
    created = await create(site)
    await add(site, *range(5))
    path = "/api/webhooks/deliveries"
    whole = (await site.get(path, "server")).json()
    assert whole["next_cursor"] is None
    assert len(whole["deliveries"]) == 5
    assert {each["endpoint_id"] for each in whole["deliveries"]} == {created["id"]}
    walked: list[dict[str, Any]] = []
    cursor = ""
    for expected in (2, 2, 1):
        page = (await site.get(f"{path}?status=pending&limit=2&cursor={cursor}", "server")).json()
        assert len(page["deliveries"]) == expected
        walked += page["deliveries"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert walked == whole["deliveries"]
    assert (await site.get(f"{path}?status=dead", "server")).json()["deliveries"] == []
    assert (await site.get(f"{path}?endpoint_id={UNKNOWN}", "server")).json()["deliveries"] == []
    assert len((await site.get(f"{path}?endpoint_id={created['id']}", "server")).json()["deliveries"]) == 5
    for query, name in (
        ("status=lost", "status"), ("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"),
        ("cursor=%20", "cursor"), ("cursor=AAAA", "cursor"), ("cursor=é", "cursor"), ("endpoint_id=x", "endpoint_id"),
    ):  # fmt: skip
        refused = problem(await site.get(f"{path}?{query}", "server"), 422, "invalid")
        assert refused["errors"][0]["path"] == name


async def test_a_test_and_a_replay(site: Site) -> None:
    created = await create(site, event_types=["prize.claimed"])
    sent = await site.post(f"/api/webhooks/{created['id']}/test", b"", "server")
    assert sent.status_code == 202
    event_id = sent.json()["event_id"]
    await site.core.database.pool.execute("UPDATE webhook_deliveries SET status = 'dead', attempts = 9")
    replay = f"/api/webhooks/deliveries/{event_id}/{created['id']}/replay"
    replayed = await site.post(replay, b"", "server")
    assert replayed.status_code == 202
    assert replayed.json() == (await site.get("/api/webhooks/deliveries", "server")).json()["deliveries"][0]
    assert (replayed.json()["type"], replayed.json()["status"], replayed.json()["attempts"]) == (
        "webhook.test",
        "pending",
        0,
    )
    await site.core.database.pool.execute("UPDATE webhook_endpoints SET disabled_at = now()")
    problem(await site.post(replay, b"", "server"), 409, "webhook_disabled")
    problem(await site.post(f"/api/webhooks/{created['id']}/test", b"", "server"), 409, "webhook_disabled")
    enabled = await site.post(f"/api/webhooks/{created['id']}/enable", b"", "server")
    assert (enabled.status_code, enabled.json()["disabled_at"]) == (200, None)
    assert (await site.post(replay, b"", "server")).status_code == 202
