"""Boards over HTTP: definitions, pages, users, access, caching, and hostile paths and queries."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.conftest import Site, problem
from tests.support.core import event, minutes

pytestmark = pytest.mark.anyio
BOARD = {"event_type": "run", "operator": "best", "field": "score"}
USERS = ["ann", "zoë/1", "a b%2F", "😀", "last"]


async def board(site: Site, key: str, **values: Any) -> str:
    """A board with five players, best first in the order of `USERS`."""
    answer = await site.put(f"/api/leaderboards/{key}", BOARD | {"event_type": key} | values)
    assert answer.status_code == 201, answer.text
    await site.core.refresh()
    await site.core.apply(
        *(event(user, 100 - place, event_type=key, at=minutes(place)) for place, user in enumerate(USERS))
    )
    return f"/api/leaderboards/{key}"


async def test_definitions_live_and_die(site: Site) -> None:
    path = "/api/leaderboards/defs"
    created = await site.put(path, BOARD)
    assert created.status_code == 201
    assert created.json() | BOARD | {"key": "defs", "order": "desc", "visibility": "public"} == created.json()
    assert (await site.put(path, BOARD | {"title": "Runs"})).status_code == 200
    assert (await site.get(f"{path}/definition")).json()["title"] == "Runs"
    listed = (await site.get("/api/leaderboards")).json()["leaderboards"]
    assert {"defs", "global"} <= {each["key"] for each in listed}
    deleted = await site.client.delete(path, headers=site.headers("server"))
    assert (deleted.status_code, deleted.content) == (204, b"")
    problem(await site.get(f"{path}/definition"), 404, "leaderboard_not_found")
    problem(await site.client.delete(path, headers=site.headers("server")), 404, "leaderboard_not_found")


async def test_who_may_define(site: Site) -> None:
    for who, status in ((None, 401), ("client", 403), (await site.token("ann"), 403)):
        assert (await site.put("/api/leaderboards/x", BOARD, who)).status_code == status
        assert (await site.client.delete("/api/leaderboards/x", headers=site.headers(who))).status_code == status


@pytest.mark.parametrize("key", ["a b", "%00", "%FF", "é", "x" * 65, "user", "-x", "%2F"])
async def test_bad_keys_are_refused(site: Site, key: str) -> None:
    answer = await site.put(f"/api/leaderboards/{key}", BOARD)
    assert answer.status_code in (404, 405, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_page_and_every_user(site: Site) -> None:
    path = await board(site, "pages")
    page = (await site.get(path)).json()
    assert [(each["rank"], each["user_id"]) for each in page["entries"]] == list(enumerate(USERS, start=1))
    assert (page["total"], page["next_cursor"], page["leaderboard"]) == (5, None, "pages")
    assert "user" not in page
    for rank, user in enumerate(USERS, start=1):
        found = (await site.get(f"{path}/users/{quote(user, safe='')}")).json()
        assert (found["rank"], found["user_id"], found["total"]) == (rank, user, 5)
        assert found["percentile"] == 100 * (5 - rank + 1) / 5
        nearby = (await site.get(f"{path}/users/{quote(user, safe='')}/nearby?above=1&below=1")).json()
        assert user in [each["user_id"] for each in nearby["entries"]]
    problem(await site.get(f"{path}/users/nobody"), 404, "not_ranked")
    lookup = await site.post(f"{path}/lookup", {"user_ids": ["last", "nobody", "ann"]})
    assert [each["user_id"] for each in lookup.json()["entries"]] == ["ann", "last"]
    assert lookup.json()["not_ranked"] == ["nobody"]


async def test_cursors_and_ranks(site: Site) -> None:
    path = await board(site, "cursors")
    first = (await site.get(f"{path}?limit=2")).json()
    second = (await site.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [each["rank"] for each in first["entries"] + second["entries"]] == [1, 2, 3, 4]
    assert [each["rank"] for each in (await site.get(f"{path}?from_rank=4")).json()["entries"]] == [4, 5]


async def test_old_clients_read_global(site: Site) -> None:
    await site.core.apply(event("old/client", 5))
    answer = await site.get("/api/leaderboards/user/old%2Fclient")
    assert answer.json() == (await site.get("/api/leaderboards/global/users/old%2Fclient")).json()
    assert answer.json()["user_id"] == "old/client"


async def test_a_player_token_implies_the_own_entry(site: Site) -> None:
    path = await board(site, "own")
    answer = await site.get(path, await site.token("last"))
    assert answer.json()["user"]["rank"] == 5
    assert answer.headers["cache-control"] == "private, no-store"
    assert (await site.get(path, await site.token("nobody"))).json()["user"] is None
    named = await site.get(f"{path}?user_id=ann")
    assert named.json()["user"]["rank"] == 1
    assert "user" not in (await site.get(path)).json()


async def test_public_pages_may_be_kept(site: Site) -> None:
    path = await board(site, "kept")
    for suffix in ("", "/users/ann", "/users/ann/nearby"):
        first = await site.get(path + suffix)
        assert first.headers["cache-control"] == "public, max-age=5, s-maxage=60, stale-while-revalidate=30"
        assert first.headers["vary"] == "Authorization"
        for tag in (first.headers["etag"], "*", f'"x", {first.headers["etag"]}'):
            again = await site.get(path + suffix, headers={"If-None-Match": tag})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
        assert (await site.get(path + suffix, headers={"If-None-Match": '"x"'})).status_code == 200
    old = (await site.get(path)).headers["etag"]
    await site.core.apply(event("new", 1000, event_type="kept"))
    changed = await site.get(path, headers={"If-None-Match": old})
    assert changed.status_code == 200
    assert changed.headers["etag"] != old


async def test_private_boards(site: Site) -> None:
    path = await board(site, "secret", visibility="private")
    token, server = await site.token("ann"), await site.get(path, "server")
    assert server.status_code == 200
    assert server.headers["cache-control"] == "private, no-store"
    assert "etag" not in server.headers
    for suffix in ("", "/definition", "/users/last", "/users/last/nearby", "/users/ann"):
        problem(await site.get(path + suffix), 401, "unauthorized")
        problem(await site.get(path + suffix, "client"), 403, "forbidden")
        if suffix != "/users/ann":
            problem(await site.get(path + suffix, token), 403, "forbidden")
    problem(await site.post(f"{path}/lookup", {"user_ids": []}), 401, "unauthorized")
    assert (await site.get(f"{path}/users/ann", token)).json()["rank"] == 1
    keys = [each["key"] for each in (await site.get("/api/leaderboards")).json()["leaderboards"]]
    assert "secret" not in keys
    problem(await site.get("/api/leaderboards/global", "gs_client_wrong-0123456789abcdef"), 401, "unauthorized")


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("limit=abc", "limit"),
        ("limit=", "limit"),
        ("limit=1.5", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=%00", "limit"),
        ("limit=\u0661", "limit"),
        ("from_rank=0", "from_rank"),
        ("from_rank=999999999999999999", "from_rank"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=" + "A" * 5000, "cursor"),
        ("cursor=%F0%9F%98%80", "cursor"),
        ("user_id=", "user_id"),
        ("user_id=%00", "user_id"),
        ("user_id=" + "u" * 256, "user_id"),
        ("user_id=%FF", "query"),
        ("&".join(f"a{number}=1" for number in range(101)), "query"),
    ],
)
async def test_bad_queries_name_the_parameter(site: Site, query: str, path: str) -> None:
    body = problem(await site.get(f"/api/leaderboards/global?{query}"), 422, "invalid")
    assert [each["path"] for each in body["errors"]] == [path]


async def test_unknown_periods_and_boards(site: Site) -> None:
    problem(await site.get("/api/leaderboards/global?period=2020"), 404, "period_not_found")
    assert (await site.get("/api/leaderboards/global?period=all_time")).status_code == 200
    for key in ("nope", "%00", "%FF", "x" * 5000, "😀", "..", "%2e%2e"):
        answer = await site.get(f"/api/leaderboards/{key}/users/ann")
        assert answer.status_code == 404, answer.text
        assert (await site.get(f"/api/leaderboards/{key}")).status_code in (200, 404)


@pytest.mark.parametrize("user", ["%00", "%FF", "%zz%00", "u" * 256, "%C2%85", "%0A"])
async def test_bad_users_in_the_path_are_422(site: Site, user: str) -> None:
    problem(await site.get(f"/api/leaderboards/global/users/{user}"), 422, "invalid")
    problem(await site.get(f"/api/leaderboards/global/users/{user}/nearby"), 422, "invalid")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"user_ids":5}', 422), (b'{"user_ids":[5]}', 422),
        (b'{"user_ids":[""]}', 422), (b'{"user_ids":["a\\u0000"]}', 422), (b'{"user_ids":["\\ud800"]}', 400),
        (b'{"user_ids":[%s"u"]}' % (b'"u",' * 200), 422), (b'{"user_ids":[]}', 200),
    ],
)  # fmt: skip
async def test_lookup_bodies(site: Site, body: bytes, status: int) -> None:
    assert (await site.post("/api/leaderboards/global/lookup", body)).status_code == status


async def test_head_options_and_unknown_routes(site: Site) -> None:
    got, head = await site.get("/api/leaderboards/global"), await site.client.head("/api/leaderboards/global")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    options = await site.client.options("/api/leaderboards/global")
    assert options.status_code == 204
    assert {"GET", "PUT", "DELETE"} <= set(options.headers["allow"].split(", "))
    problem(await site.get("/api/nothing"), 404, "not_found")
    problem(await site.get("/%00%FF/%2F"), 404, "not_found")
    refused = await site.client.patch("/api/events", headers=site.headers("server"))
    problem(refused, 405, "method_not_allowed")
    assert refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_change_is_in_force_when_it_is_answered(site: Site) -> None:
    """Nobody may read a board for another moment that has just been made private, or deleted."""
    await site.put("/api/leaderboards/brief", {"event_type": "t", "operator": "count"})
    for _ in range(3):
        assert (await site.get("/api/leaderboards/brief")).status_code == 200
        await site.put("/api/leaderboards/brief", {"event_type": "t", "operator": "count", "visibility": "private"})
        problem(await site.get("/api/leaderboards/brief"), 401, "unauthorized")
        await site.put("/api/leaderboards/brief", {"event_type": "t", "operator": "count"})
    await site.client.delete("/api/leaderboards/brief", headers=site.headers("server"))
    problem(await site.get("/api/leaderboards/brief"), 404, "leaderboard_not_found")


async def test_every_bad_key_is_refused_alike(site: Site) -> None:
    for key in ("x" * 65, "x" * 5000, "%00", "%FF", "a%20b", "-a"):
        problem(await site.put(f"/api/leaderboards/{key}", {"event_type": "t", "operator": "count"}), 422, "invalid")
