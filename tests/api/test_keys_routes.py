"""Keys through the API: made, narrowed, rotated, ended and revoked, on every process; player sessions that end."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from grandstand.clock import now
from grandstand.domain.credentials import SCOPES
from grandstand.domain.errors import UnauthorizedError
from grandstand.operations.authenticate import Authenticator
from tests.api.conftest import KEYS, Site, problem
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
EVENT = {"event_type": "t", "user_id": "ann"}


async def make(site: Site, **values: Any) -> dict[str, Any]:
    answer = await site.post("/api/keys", {"kind": "server", "name": "test"} | values, "admin")
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(site: Site, key_id: str) -> dict[str, Any]:
    keys = (await site.get("/api/keys?limit=1000", "admin")).json()["keys"]
    [found] = [key for key in keys if key["id"] == key_id]
    return dict(found)


async def works(site: Site, key: str) -> bool:
    status = (await site.post("/api/events", EVENT, key)).status_code
    assert status in (202, 401)
    return status == 202


async def test_a_made_key_works_at_once_and_is_shown_once(site: Site) -> None:
    made = await make(site, name="match server")
    assert made["key"].startswith("gs_server_")
    assert await works(site, made["key"])
    shown = await listed(site, made["id"])
    assert "key" not in shown
    assert made["key"] not in str((await site.get("/api/keys", "admin")).json())
    assert shown["name"] == "match server"
    assert shown["status"] == "live"
    assert shown["created_by"].startswith("admin:key_")


async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_within_the_refresh(site: Site) -> None:
    made = await make(site)
    elsewhere = Authenticator(site.core.database, refresh_seconds=0.05, token_ttl_seconds=60, session_seconds=600)
    await elsewhere.start()
    try:
        assert elsewhere.principal(f"Bearer {made['key']}").kind == "server"
        assert (await site.delete(f"/api/keys/{made['id']}", "admin")).status_code == 204
        assert not await works(site, made["key"])
        await elsewhere.refresh()
        with pytest.raises(Exception, match="unknown or revoked"):
            elsewhere.principal(f"Bearer {made['key']}")
    finally:
        await elsewhere.stop()
    first = (await listed(site, made["id"]))["revoked_at"]
    assert (await site.delete(f"/api/keys/{made['id']}", "admin")).status_code == 204
    assert (await listed(site, made["id"]))["revoked_at"] == first


async def test_after_a_rotation_both_are_good_until_the_overlap_ends(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await make(site, scopes=["events:write"])
    answer = await site.post(f"/api/keys/{old['id']}/rotate", {"overlap_seconds": 60}, "admin")
    assert answer.status_code == 201
    new = answer.json()
    assert (new["kind"], new["name"], new["scopes"]) == (old["kind"], old["name"], old["scopes"])
    assert await works(site, old["key"])
    assert await works(site, new["key"])
    later = now() + timedelta(seconds=61)
    monkeypatch.setattr("grandstand.clock.now", lambda: later)
    assert not await works(site, old["key"])
    assert await works(site, new["key"])
    assert (await listed(site, old["id"]))["status"] == "expired"
    problem(await site.post(f"/api/keys/{old['id']}/rotate", {}, "admin"), 409, "key_not_live")


async def test_rotating_never_prolongs_what_was_to_end(site: Site) -> None:
    ends = (now() + timedelta(hours=1)).isoformat()
    old = await make(site, expires_at=ends)
    new = (await site.post(f"/api/keys/{old['id']}/rotate", {"overlap_seconds": 86_400}, "admin")).json()
    assert new["expires_at"] == old["expires_at"]
    assert (await listed(site, old["id"]))["expires_at"] == old["expires_at"]


async def test_last_use_is_told(site: Site) -> None:
    made = await make(site)
    assert made["last_used_at"] is None
    assert await works(site, made["key"])
    await site.services.authenticator._report_use()
    assert (await listed(site, made["id"]))["last_used_at"] is not None


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "kind"),
        ({"kind": "root", "name": "x"}, "kind"),
        ({"kind": "server", "name": ""}, "name"),
        ({"kind": "server", "name": "a\nb"}, "name"),
        ({"kind": "server", "name": "environment"}, "name"),
        ({"kind": "server", "name": "x" * 101}, "name"),
        ({"kind": "server", "name": "x", "scopes": ["all"]}, "scopes[0]"),
        ({"kind": "server", "name": "x", "scopes": []}, "scopes"),
        ({"kind": "admin", "name": "x", "scopes": ["events:read"]}, "scopes"),
        ({"kind": "client", "name": "x", "scopes": ["events:read"]}, "scopes"),
        ({"kind": "server", "name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"kind": "server", "name": "x", "expires_at": "2120-01-01T00:00:00"}, "expires_at"),
        ({"kind": "server", "name": "x", "expires_at": "soon"}, "expires_at"),
        ({"kind": "server", "name": "x", "more": 1}, "more"),
    ],
)
async def test_wrong_requests_name_the_field(site: Site, body: dict[str, Any], path: str) -> None:
    found = problem(await site.post("/api/keys", body, "admin"), 422, "invalid")
    assert found["errors"][0]["path"] == path


async def test_pages_of_the_list_give_each_key_once(site: Site) -> None:
    made = [(await make(site, name=f"page {number}"))["id"] for number in range(5)]
    assert (await site.delete(f"/api/keys/{made[2]}", "admin")).status_code == 204
    whole = (await site.get("/api/keys?limit=1000", "admin")).json()
    assert whole["next_cursor"] is None
    assert [key["id"] for key in whole["keys"]][-5:] == made
    for limit in (1, 3, len(whole["keys"])):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await site.get(f"/api/keys?limit={limit}&cursor={cursor}", "admin")).json()
            assert len(page["keys"]) <= limit
            found += [key["id"] for key in page["keys"]]
            cursor = page["next_cursor"]
        assert found == [key["id"] for key in whole["keys"]]
    for query, field in (("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=nonsense", "cursor")):
        refused = problem(await site.get(f"/api/keys?{query}", "admin"), 422, "invalid")
        assert refused["errors"][0]["path"] == field


async def test_every_scope_is_known(site: Site) -> None:
    made = await make(site, scopes=list(SCOPES))
    assert made["scopes"] == sorted(SCOPES)


async def test_nobody_locks_the_last_admin_out(site: Site) -> None:
    keys = (await site.get("/api/keys", "admin")).json()["keys"]
    [environment] = [key for key in keys if key["kind"] == "admin" and key["name"] == "environment"]
    problem(await site.delete(f"/api/keys/{environment['id']}", "admin"), 409, "key_set_by_environment")
    problem(await site.post(f"/api/keys/{environment['id']}/rotate", {}, "admin"), 409, "key_set_by_environment")
    async with site.core.database.connection() as connection:
        await connection.execute("UPDATE api_keys SET name = 'first' WHERE key_id = $1", environment["id"])
        try:
            problem(await site.delete(f"/api/keys/{environment['id']}", "admin"), 409, "last_admin_key")
            passing = await make(site, kind="admin", expires_at=(now() + timedelta(hours=1)).isoformat())
            problem(await site.delete(f"/api/keys/{environment['id']}", "admin"), 409, "last_admin_key")
            assert (await site.delete(f"/api/keys/{passing['id']}", "admin")).status_code == 204
        finally:
            await connection.execute("UPDATE api_keys SET name = 'environment' WHERE key_id = $1", environment["id"])


@pytest.mark.parametrize("who", [None, "client", "server"])
async def test_keys_are_for_admins(site: Site, who: str | None) -> None:
    status, code = (401, "unauthorized") if who is None else (403, "forbidden")
    problem(await site.get("/api/keys", who), status, code)
    problem(await site.post("/api/keys", {"kind": "server", "name": "x"}, who), status, code)
    problem(await site.post("/api/keys/key_x/rotate", {}, who), status, code)
    problem(await site.delete("/api/keys/key_x", who), status, code)


async def test_an_unknown_key_is_404(site: Site) -> None:
    for key_id in ("key_none", "%00", "x" * 1000):
        problem(await site.delete(f"/api/keys/{key_id}", "admin"), 404, "key_not_found")
        problem(await site.post(f"/api/keys/{key_id}/rotate", {}, "admin"), 404, "key_not_found")


async def test_a_ban_ends_the_tokens_of_before_and_gives_no_new_ones(site: Site) -> None:
    token = await site.token("cheat")
    sent = {"event_type": "t", "user_id": "cheat"}
    assert (await site.post("/api/events", sent, token)).status_code == 202
    assert (await site.post("/api/players/cheat/ban", {"reason": "x"}, "server")).status_code == 200
    problem(await site.post("/api/events", sent, token), 401, "unauthorized")
    problem(await site.post("/api/players/sessions", {"user_id": "cheat"}, "server"), 409, "player_banned")
    assert (await site.post("/api/players/cheat/unban", {}, "server")).status_code == 200
    problem(await site.post("/api/events", sent, token), 401, "unauthorized")
    assert (await site.post("/api/events", sent, await site.token("cheat"))).status_code == 202


async def test_a_token_renewed_where_a_revocation_is_not_known_yet_ends_with_it(site: Site) -> None:
    for end in ("ban", "sessions"):
        user_id = f"quick-{end}"
        elsewhere = Authenticator(site.core.database, refresh_seconds=600, token_ttl_seconds=60, session_seconds=600)
        await elsewhere.start()
        try:
            token = await site.token(user_id)
            if end == "ban":
                assert (await site.post(f"/api/players/{user_id}/ban", {"reason": "x"}, "server")).status_code == 200
            else:
                assert (await site.delete(f"/api/players/{user_id}/sessions")).status_code == 204
            _, (renewed, *_) = elsewhere.tokens.renew(token)
            await elsewhere.refresh()
            with pytest.raises(UnauthorizedError, match="revoked"):
                elsewhere.principal(f"Bearer {renewed}")
            problem(await site.post("/api/events", EVENT | {"user_id": user_id}, renewed), 401, "unauthorized")
        finally:
            await elsewhere.stop()


async def test_no_session_slips_through_a_ban_that_is_under_way(site: Site) -> None:
    database = site.core.database
    async with database.transaction() as blocking:
        # Of what a ban does, it waits here for the prizes, behind having looked for sessions that are open.
        await blocking.execute("LOCK TABLE prizes IN ACCESS EXCLUSIVE MODE")
        banning = asyncio.create_task(site.post("/api/players/slippery/ban", {"reason": "x"}, "server"))
        waits = (
            "SELECT count(*) > 0 FROM pg_locks AS l INNER JOIN pg_database AS d ON l.database = d.oid "
            "WHERE d.datname = current_database() AND NOT l.granted AND "
        )
        await eventually_async(lambda: blocking.fetchval(waits + "l.relation = 'prizes'::regclass"))
        opening = asyncio.create_task(site.post("/api/players/sessions", {"user_id": "slippery"}, "server"))

        async def is_waiting_or_done() -> bool:
            return opening.done() or bool(await blocking.fetchval(waits + "l.locktype = 'advisory'"))

        await eventually_async(is_waiting_or_done)
    assert (await banning).status_code == 200
    problem(await opening, 409, "player_banned")


async def test_a_token_is_renewed_until_its_session_is_over(site: Site) -> None:
    async def renew(token: str) -> Any:
        return await site.client.post("/api/players/sessions/refresh", headers=site.headers(token))

    answer = await renew(await site.token("ann"))
    assert answer.status_code == 201
    assert (await site.post("/api/events", EVENT, answer.json()["token"])).status_code == 202

    # A session of a day (see conftest) which began so long ago that less than a token's hour is left of it.
    began_at = now() - timedelta(days=1) + timedelta(minutes=30)
    token, ends_at, _ = site.services.authenticator.tokens.issue("ann", began_at)
    for _ in range(3):
        answer = await renew(token)
        assert answer.status_code == 201
        token = answer.json()["token"]
        assert datetime.fromisoformat(answer.json()["expires_at"]) == ends_at
    over, *_ = site.services.authenticator.tokens.issue("ann", now() - timedelta(days=1))
    problem(await renew(over), 401, "unauthorized")
    for who in ("client", "server", "admin"):
        problem(await renew(KEYS[who]), 403, "forbidden")
    problem(await site.client.post("/api/players/sessions/refresh"), 401, "unauthorized")


async def test_log_out_everywhere(site: Site) -> None:
    token = await site.token("leaver")
    other = await site.token("other")
    problem(await site.delete("/api/players/leaver/sessions", other), 403, "forbidden")
    assert (await site.delete("/api/players/leaver/sessions", token)).status_code == 204
    problem(await site.post("/api/events", {"event_type": "t", "user_id": "leaver"}, token), 401, "unauthorized")
    fresh = await site.token("leaver")
    assert (await site.post("/api/events", {"event_type": "t", "user_id": "leaver"}, fresh)).status_code == 202
