"""Rate limits as a client meets them: who is counted where, headers, blocks, proxies, and what is never limited."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest

from grandstand.api.app import build_app
from grandstand.operations import limit_requests
from grandstand.operations.limit_requests import RateLimiter
from grandstand.operations.limits_in_force import RateLimits
from grandstand.storage.rate_limits import RateLimitStore
from tests.api.conftest import Site, open_deployment, problem
from tests.support.engines import RunningEngines

pytestmark = pytest.mark.anyio
WINDOW, BLOCK = 50, 70
BOARD = "/api/leaderboards/global"


@pytest.fixture
async def limited(
    engines: RunningEngines, template_database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Site]:
    settings = {"rate_limit_window_seconds": WINDOW, "rate_limit_block_seconds": BLOCK} | request.param
    async with open_deployment(engines, template_database, tmp_path, **settings) as opened:
        yield opened


def limits(**settings: Any) -> Any:
    return pytest.mark.parametrize("limited", [settings], indirect=True, ids=[""])


@asynccontextmanager
async def coming_from(site: Site, address: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client whose connection comes from this address."""
    transport = httpx.ASGITransport(app=site.app, client=(address, 1))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://grandstand", headers=headers) as client:
        yield client


async def statuses(client: httpx.AsyncClient, times: int, path: str = BOARD, **more: Any) -> list[int]:
    return [(await client.get(path, **more)).status_code for _ in range(times)]


@limits(rate_limit_player_requests=5)
async def test_a_player_is_told_of_the_limit_and_then_blocked(limited: Site) -> None:
    token = await limited.token("ann")
    began_at = time.monotonic()
    for left in (4, 3, 2, 1, 0):
        answer = await limited.get(BOARD, token)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-policy"] == f'"default";q=5;w={WINDOW}'
        found = re.fullmatch(r'"default";r=(\d+);t=(\d+)', answer.headers["ratelimit"])
        assert found is not None
        assert int(found[1]) == left
        assert WINDOW - 1 - (time.monotonic() - began_at) <= int(found[2]) <= WINDOW
    began_at = time.monotonic()
    for _ in range(3):
        answer = await limited.get(BOARD, token)
        body = problem(answer, 429, "rate_limited")
        assert BLOCK - 1 - (time.monotonic() - began_at) <= body["retry_after"] <= BLOCK
        assert answer.headers["retry-after"] == str(body["retry_after"])
        assert answer.headers["ratelimit"].startswith('"default";r=0;t=')
        assert answer.headers["cache-control"] == "no-store"
    # A player is counted, not a token; and another player is another count.
    problem(await limited.get(BOARD, await limited.token("ann")), 429, "rate_limited")
    assert (await limited.get(BOARD, await limited.token("bob"))).status_code == 200


@limits(rate_limit_player_requests=3, rate_limit_block_seconds=1)
async def test_a_block_ends_when_it_says(limited: Site) -> None:
    token = await limited.token("ann")
    seen = [await limited.get(BOARD, token) for _ in range(4)]
    assert [answer.status_code for answer in seen] == [200, 200, 200, 429]
    await asyncio.sleep(seen[-1].json()["retry_after"])
    assert [(await limited.get(BOARD, token)).status_code for _ in range(4)] == [200, 200, 200, 429]


@limits(rate_limit_player_requests=3, rate_limit_block_seconds=0)
async def test_without_a_block_one_waits_for_the_windows_end(limited: Site) -> None:
    token = await limited.token("ann")
    seen = [await limited.get(BOARD, token) for _ in range(6)]
    assert [answer.status_code for answer in seen] == [200] * 3 + [429] * 3
    assert all(answer.json()["retry_after"] <= WINDOW for answer in seen[3:])


@limits(rate_limit_client_requests=4, rate_limit_anonymous_requests=6)
async def test_clients_and_the_anonymous_are_counted_by_address_and_apart(limited: Site) -> None:
    async with coming_from(limited, "203.0.113.9") as near, coming_from(limited, "203.0.113.10") as far:
        key = limited.headers("client")
        assert await statuses(near, 5, headers=key) == [200] * 4 + [429]
        # Whoever guesses credentials is a client like any other.
        assert await statuses(near, 1, headers={"Authorization": "Bearer gs_server_wrong-0123456789abcdef"}) == [429]
        assert await statuses(far, 5, headers={"Authorization": "Bearer nonsense"}) == [401] * 4 + [429]
        assert await statuses(near, 7) == [200] * 6 + [429]
        assert await statuses(far, 1) == [200]
        assert await statuses(near, 20, headers=limited.headers("server")) == [200] * 20
        for path in ("/api/health/live", "/api/health/ready"):
            answer = await near.get(path)
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers


@limits(rate_limit_address_player_requests=6)
async def test_players_of_one_address_share_a_limit(limited: Site) -> None:
    tokens = [limited.headers(await limited.token(f"user{number}")) for number in range(4)]
    async with coming_from(limited, "203.0.113.9") as near, coming_from(limited, "203.0.113.10") as far:
        seen = [(await near.get(BOARD, headers=token)).status_code for token in tokens for _ in range(2)]
        assert seen == [200] * 6 + [429] * 2
        assert await statuses(far, 1, headers=tokens[3]) == [200]


@limits(rate_limit_server_requests=3)
async def test_server_keys_have_a_limit_when_one_is_set(limited: Site) -> None:
    assert [(await limited.get(BOARD, "server")).status_code for _ in range(4)] == [200] * 3 + [429]
    assert [(await limited.get(BOARD, "admin")).status_code for _ in range(4)] == [200] * 4


@limits(rate_limit_player_events=10)
async def test_events_are_counted_as_well_as_requests(limited: Site) -> None:
    token = await limited.token("ann")
    event = {"event_type": "t", "user_id": "ann"}
    for size in (4, 6):
        assert (await limited.post("/api/events", [event] * size, token)).status_code == 202
    before = await limited.count_streamed()
    answer = await limited.post("/api/events", event, token)
    assert problem(answer, 429, "rate_limited")["retry_after"] <= BLOCK
    assert answer.headers["ratelimit-policy"] == f'"events";q=10;w={WINDOW}'
    assert await limited.count_streamed() == before
    assert (await limited.get(BOARD, token)).status_code == 200
    assert (await limited.post("/api/events", [event] * 50, "server")).status_code == 202


@limits(rate_limit_anonymous_requests=2)
@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("198.51.100.7", "::ffff:198.51.100.7", True),
    ],
    ids=["one customer", "two customers", "mapped"],
)
async def test_addresses_of_one_customer_are_one(limited: Site, first: str, second: str, is_same: bool) -> None:
    async with coming_from(limited, first) as one, coming_from(limited, second) as other:
        assert await statuses(one, 3) == [200, 200, 429]
        assert await statuses(other, 1) == [429 if is_same else 200]


@limits(rate_limit_anonymous_requests=1, trusted_proxies="10.0.0.0/8", ops_allow="192.0.2.0/24")
async def test_forwarded_addresses_are_believed_from_trusted_proxies_only(limited: Site) -> None:
    async def ask(peer: str, *forwarded: str, path: str = BOARD) -> int:
        async with coming_from(limited, peer) as client:
            headers = [("X-Forwarded-For", value) for value in forwarded]
            return (await client.get(path, headers=headers)).status_code

    assert await ask("10.0.0.1", "203.0.113.1") == 200
    assert await ask("10.0.0.2", "6.6.6.6, 203.0.113.1") == 429, "what stands left was written by the client"
    assert await ask("10.0.0.2", "6.6.6.7", "203.0.113.1, 10.1.1.1") == 429, "two headers are one list"
    assert await ask("10.0.0.1", "203.0.113.2:4711") == 200
    assert await ask("203.0.113.2", "203.0.113.3") == 429, "no proxy of ours"
    assert await ask("10.0.0.3", "nonsense") == 200
    assert await ask("10.0.0.3", "") == 429, "the proxy is the last that is known"
    assert await ask("10.0.0.1", "1," * 20_000 + "203.0.113.4") == 200, "however much the client wrote"
    assert await ask("10.0.0.1", "6.6.6.6," * 200 + "203.0.113.4") == 429
    assert await ask("10.0.0.4", "9" * 2000) == 200, "no hop is made of a part of one"
    assert await ask("10.0.0.4", "203.0.113.5" + ",10.0.0.9" * 200) == 200, "the proxies are the last that are known"
    # The networks that may read health without a key are those of clients, too.
    assert await ask("10.0.0.1", "192.0.2.8", path="/api/health") == 200
    assert await ask("198.51.100.1", "192.0.2.9", path="/api/health") == 401


@limits(rate_limit_player_requests=400)
async def test_the_limit_is_exact_over_several_processes(limited: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each `Front` has a limiter of its own, as a process has."""
    # A disk that is busy with other tests is no Valkey that is away.
    monkeypatch.setattr(limit_requests, "PATIENCE_SECONDS", 30.0)
    fronts = [await another_process(limited) for _ in range(4)]
    headers = limited.headers(await limited.token("ann"))

    async def ask_much(client: httpx.AsyncClient) -> list[int]:
        return [status for _ in range(10) for status in await asyncio.gather(*(one(client) for _ in range(30)))]

    async def one(client: httpx.AsyncClient) -> int:
        # What asks no database: so many at once would find its pool full.
        return (await client.get("/schema/openapi.json", headers=headers)).status_code

    try:
        seen = Counter(chain.from_iterable(await asyncio.gather(*map(ask_much, fronts))))
    finally:
        for front in fronts:
            await front.aclose()
    assert seen.keys() == {200, 429}
    assert abs(seen[200] - 400) <= 8, seen


async def another_process(site: Site) -> httpx.AsyncClient:
    settings = site.services.settings
    limiter = RateLimiter(RateLimitStore(site.core.valkey, settings.valkey_prefix), RateLimits.of(settings))
    app = build_app(replace(site.services, limiter=limiter))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://grandstand")  # type: ignore[arg-type]


@limits(rate_limit_player_requests=5)
async def test_nothing_in_valkey_names_a_player(limited: Site) -> None:
    await limited.get(BOARD, await limited.token("a-very-own-name"))
    keys = [key async for key in limited.core.valkey.scan_iter(f"{limited.core.prefix}:*limits*")]
    assert keys
    assert not any(b"a-very-own-name" in key for key in keys)
    assert all([0 < await limited.core.valkey.ttl(key) <= BLOCK for key in keys]), "counts end by themselves"
