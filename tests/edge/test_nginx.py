"""The shipped nginx configuration on a real nginx: what it keeps, for whom, and what it never does."""

import asyncio
import re
from collections.abc import AsyncIterator
from ipaddress import IPv4Network

import httpx
import pytest

from grandstand.domain.errors import UnavailableError
from tests.edge.conftest import GAME, Edge, OpenEdge, read_often
from tests.support.core import event
from tests.support.listeners import LiveClient
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
READS = 10_000
BOARD = {"event_type": "run", "operator": "best", "field": "score"}


@pytest.fixture
async def edge(open_edge: OpenEdge) -> AsyncIterator[Edge]:
    """An edge under the settings as they are unless set."""
    async with open_edge() as opened:
        yield opened


async def board(edge: Edge, key: str) -> str:
    """A board with two players."""
    assert (await edge.site.put(f"/api/leaderboards/{key}", BOARD | {"event_type": key})).status_code == 201
    await edge.site.core.refresh()
    await edge.site.core.apply(event("ann", 10, event_type=key), event("bob", 5, event_type=key))
    return f"/api/leaderboards/{key}"


async def test_ten_thousand_reads_of_a_board_are_a_few_of_the_server(edge: Edge) -> None:
    path = await board(edge, "hot")
    before = await edge.asked()
    # A burst for what nobody has yet, scores meanwhile, and then everybody.
    burst = await read_often(edge.url, path, 200, connections=100)
    await edge.site.core.apply(event("cleo", 20, event_type="hot"))
    statuses = await read_often(edge.url, path, READS)
    assert (burst, statuses) == ({200: 200}, {200: READS})
    assert await edge.asked() - before <= 5


async def test_what_a_client_has_is_not_sent_again(edge: Edge) -> None:
    path = await board(edge, "tagged")
    first = await edge.get(path)
    assert first.headers["x-cache-status"] == "MISS"
    before = await edge.asked()
    for tag in (first.headers["etag"], first.headers["etag"].removeprefix("W/")):
        again = await edge.get(path, If_None_Match=tag)
        assert (again.status_code, again.content) == (304, b"")
    assert (await edge.get(path)).content == first.content
    assert (await edge.client.head(path)).headers["etag"] == first.headers["etag"]
    assert await edge.asked() == before


async def test_every_public_read_is_kept(edge: Edge) -> None:
    path = await board(edge, "kept")
    for suffix in ("", "/definition", "/periods", "/users/ann", "/users/ann/nearby"):
        found = [(await edge.get(path + suffix)).headers["x-cache-status"] for _ in range(2)]
        assert found == ["MISS", "HIT"], suffix


async def test_pages_of_public_boards_are_kept_and_those_of_operators_are_not(edge: Edge) -> None:
    await board(edge, "shown")
    for path in ("/boards/shown", "/boards/shown?embed=1", "/boards/shown/card.png", "/boards/-/embed.js"):
        answers = [await edge.get(path) for _ in range(2)]
        assert [answer.headers["x-cache-status"] for answer in answers] == ["MISS", "HIT"], path
        assert answers[0].content == answers[1].content
    for path in ("/console/log-in", "/console"):
        answer = await edge.get(path)
        assert "x-cache-status" not in answer.headers, path
        assert "no-store" in answer.headers["cache-control"], path


@pytest.mark.parametrize("public_url", [None, "https://play.example.com"])
async def test_no_host_gets_into_a_page_that_is_kept(open_edge: OpenEdge, public_url: str | None) -> None:
    async with open_edge(public_url=public_url) as edge:
        key = "linked" if public_url else "unlinked"
        await board(edge, key)
        for number, host in enumerate(("localhost:666", "127.0.0.1:666", "[::1]", "evil.example")):
            path = f"/boards/{key}?theme=light&n={number}"
            forged = await edge.get(path, Host=host, X_Forwarded_Host="evil.example", X_Forwarded_Proto="https")
            kept = await edge.get(path)
            assert (forged.status_code, kept.headers["x-cache-status"]) == (200, "HIT")
            origins = set(re.findall(r"https?://[^/\"]+", kept.text))
            assert origins == ({public_url} if public_url else set()), host
            assert ('property="og:image"' in kept.text) is (public_url is not None)


async def test_whoever_has_a_token_never_sees_what_is_anothers(edge: Edge) -> None:
    path = await board(edge, "own")
    ann, bob = await edge.site.token("ann"), await edge.site.token("bob")
    for _ in range(3):
        for who, own in ((ann, "ann"), (None, None), (bob, "bob"), ("client", None)):
            page = (await edge.get(path, who)).json()
            assert page.get("user", {}).get("user_id") == own
    assert (await edge.get(path, ann)).headers["x-cache-status"] == "BYPASS"
    assert (await edge.get(path, "gs_client_wrong")).status_code == 401, "a kept page is for no wrong credential"


async def test_private_boards_and_refusals_are_not_kept(edge: Edge) -> None:
    await edge.site.put("/api/leaderboards/secret", BOARD | {"event_type": "secret", "visibility": "private"})
    await edge.site.core.refresh()
    path = "/api/leaderboards/secret"
    assert [(await edge.get(path, who)).status_code for who in ("server", None, "client", "server")] == [
        200, 401, 403, 200,
    ]  # fmt: skip
    for missing in ("/api/leaderboards/made-later", "/api/leaderboards/made-later/definition"):
        assert (await edge.get(missing)).status_code == 404
    await board(edge, "made-later")
    for missing in ("/api/leaderboards/made-later", "/api/leaderboards/made-later/definition"):
        assert (await edge.get(missing)).status_code == 200


async def test_an_outage_is_not_kept_and_a_kept_page_outlives_it(
    open_edge: OpenEdge, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_edge(edge_max_age_seconds=1, edge_stale_seconds=0) as edge:
        path = await board(edge, "away")
        first = await edge.get(path)
        await eventually_async(lambda: _status(edge, path, "EXPIRED", "REVALIDATED"))
        reader = edge.site.services.reader
        read = reader.page

        async def fail(*_: object, **__: object) -> None:
            raise UnavailableError("The database is away.")

        monkeypatch.setattr(reader, "page", fail)
        await eventually_async(lambda: _status(edge, path, "STALE"))
        assert (await edge.get(path)).json()["entries"] == first.json()["entries"]
        refused = await edge.get(f"{path}?limit=7")
        assert (refused.status_code, refused.headers["cache-control"]) == (503, "no-store")
        monkeypatch.setattr(reader, "page", read)
        assert (await edge.get(f"{path}?limit=7")).status_code == 200


async def test_while_a_new_page_is_fetched_the_old_one_is_served(open_edge: OpenEdge) -> None:
    async with open_edge(edge_max_age_seconds=1, edge_stale_seconds=60) as edge:
        path = await board(edge, "behind")
        await edge.get(path)
        await edge.site.core.apply(event("cleo", 50, event_type="behind"))
        seen: list[tuple[str, int]] = []

        async def is_new() -> bool:
            answer = await edge.get(path)
            seen.append((answer.headers["x-cache-status"], answer.json()["total"]))
            return seen[-1] == ("HIT", 3)

        await eventually_async(is_new)
        assert {status for status, _ in seen} <= {"HIT", "STALE", "UPDATING"}, "nobody waited for the server"
        assert ("STALE", 2) in seen


async def test_invented_origins_share_one_copy_and_listed_ones_may_read_theirs(edge: Edge) -> None:
    path = await board(edge, "origins")
    before = await edge.asked()
    for number in range(20):
        answer = await edge.get(path, Origin=f"https://evil-{number}.example")
        assert "access-control-allow-origin" not in answer.headers
    assert (await edge.get(path)).headers["x-cache-status"] == "HIT"
    for _ in range(3):
        assert (await edge.get(path, Origin=GAME)).headers["access-control-allow-origin"] == GAME
        assert "access-control-allow-origin" not in (await edge.get(path)).headers
    assert await edge.asked() - before == 2
    preflight = {"Origin": GAME, "Access-Control-Request-Method": "GET"}
    assert (await edge.client.options(path, headers=preflight)).headers["access-control-allow-origin"] == GAME


async def test_live_boards_pass_as_they_come(edge: Edge) -> None:
    path = await board(edge, "live")
    async with asyncio.timeout(20), LiveClient(f"{edge.url}{path}/live") as listener:
        updates = listener.updates()
        assert (await anext(updates)).data["total"] == 2
        await edge.site.core.apply(event("cleo", 50, event_type="live"))
        assert (await anext(updates)).data["total"] == 3


async def test_the_server_hears_of_the_clients_address_and_believes_no_other(open_edge: OpenEdge) -> None:
    networks = {"trusted_proxies": (IPv4Network("127.0.0.1"),), "ops_allow": (IPv4Network("127.0.0.2"),)}
    async with open_edge(**networks) as edge:
        for address, forwarded, status in (
            ("127.0.0.2", "203.0.113.9", 200),
            ("127.0.0.3", "127.0.0.2", 401),
            ("127.0.0.3", "127.0.0.2, 127.0.0.1", 401),
        ):
            transport = httpx.AsyncHTTPTransport(local_address=address)
            async with httpx.AsyncClient(base_url=edge.url, transport=transport) as client:
                answer = await client.get("/api/health/pool", headers={"X-Forwarded-For": forwarded})
            assert answer.status_code == status


async def test_the_rest_passes(edge: Edge) -> None:
    path = await board(edge, "rest")
    await edge.site.core.apply(event("zoë/1", 1, event_type="rest"))
    assert (await edge.get(f"{path}/users/zo%C3%AB%2F1")).json()["user_id"] == "zoë/1"
    assert (await edge.get("/metrics", "server")).status_code == 404, "the operator asks the server itself"
    assert (await edge.get("/api/leaderboards", Accept_Encoding="gzip")).headers["content-encoding"] == "gzip"
    lookup = await edge.client.post(f"{path}/lookup", json={"user_ids": ["ann"]})
    assert [each["user_id"] for each in lookup.json()["entries"]] == ["ann"]
    sent = {"event_type": "rest", "user_id": "dan"}
    answer = await edge.client.post("/api/events", json=sent, headers=edge.site.headers("server"))
    assert answer.status_code == 202


async def _status(edge: Edge, path: str, *wanted: str) -> httpx.Response | None:
    answer = await edge.get(path)
    return answer if answer.headers["x-cache-status"] in wanted else None
