"""The audit log: every change by a key is in it, with who, from where, before and after; and it cannot be changed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from grandstand.api.app import build_app
from grandstand.clock import now
from grandstand.settings import load_settings
from tests.api.conftest import Site, problem
from tests.support.engines import SCHEMA

pytestmark = pytest.mark.anyio


async def newest(site: Site, **filters: Any) -> dict[str, Any]:
    answer = await site.get("/api/audit-log", "admin", params=filters | {"limit": 1})
    assert answer.status_code == 200, answer.text
    [entry] = answer.json()["entries"]
    return dict(entry)


async def test_a_ban_tells_who_and_from_where(site: Site) -> None:
    assert (await site.post("/api/players/eve/ban", {"reason": "speed hack"}, "server")).status_code == 200
    entry = await newest(site, target="eve")
    assert entry["action"] == "player.ban"
    assert entry["after"] == {"reason": "speed hack", "prizes_voided": 0}
    assert entry["actor"].startswith("server:key_")
    assert entry["address"] == "127.0.0.1"
    assert (await site.post("/api/players/eve/unban", {}, "admin")).status_code == 200
    entry = await newest(site, target="eve")
    assert entry["action"] == "player.unban"
    assert entry["actor"].startswith("admin:key_")


async def test_behind_a_proxy_it_tells_of_the_client(site: Site) -> None:
    """Of trusted proxies only: nobody can write an address of their choice into the log."""
    settings = load_settings(data_dir=site.services.settings.data_dir, trusted_proxies="10.0.0.0/8,fd00::/8")
    app = build_app(replace(site.services, settings=settings))

    async def ban_from(peer: str, *forwarded: str) -> str:
        transport = httpx.ASGITransport(app=app, client=(peer, 1))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://grandstand") as client:
            headers = [("X-Forwarded-For", value) for value in forwarded]
            headers += site.headers("server").items()
            answer = await client.post("/api/players/mallory/ban", json={"reason": "x"}, headers=headers)
        assert answer.status_code == 200, answer.text
        return str((await newest(site, target="mallory"))["address"])

    assert await ban_from("10.0.0.1", "203.0.113.1") == "203.0.113.1"
    assert await ban_from("10.0.0.1", "6.6.6.6, 203.0.113.1:99, 10.9.9.9") == "203.0.113.1"
    assert await ban_from("fd00::1", "6.6.6.6", "2001:db8::7") == "2001:db8::7"
    assert await ban_from("203.0.113.2", "6.6.6.6") == "203.0.113.2", "no proxy of ours"
    assert await ban_from("10.0.0.1", "<script>") == "10.0.0.1"
    assert await ban_from("::ffff:203.0.113.3") == "203.0.113.3"


async def test_a_key_is_in_it_without_the_key(site: Site) -> None:
    made = (await site.post("/api/keys", {"kind": "server", "name": "one"}, "admin")).json()
    entry = await newest(site, target=made["id"])
    assert (entry["action"], entry["after"]["name"]) == ("key.create", "one")
    await site.delete(f"/api/keys/{made['id']}", "admin")
    assert (await newest(site, target=made["id"]))["action"] == "key.revoke"
    assert made["key"] not in (await site.get("/api/audit-log", "admin")).text


async def test_definitions_and_tournaments_with_what_was_there_before(site: Site) -> None:
    board = {"event_type": "t", "operator": "count", "title": "One"}
    await site.put("/api/leaderboards/audited", board)
    assert (await newest(site, target="audited"))["before"] is None
    await site.put("/api/leaderboards/audited", board | {"title": "Two"})
    entry = await newest(site, target="audited")
    assert (entry["action"], entry["before"]["title"], entry["after"]["title"]) == ("leaderboard.put", "One", "Two")
    await site.put("/api/leaderboards/audited", board | {"title": "Two"})  # changes nothing
    assert (await newest(site, target="audited"))["id"] == entry["id"]
    await site.post("/api/leaderboards/audited/reset", {}, "server")
    assert (await newest(site, target="audited"))["action"] == "leaderboard.reset"
    await site.delete("/api/leaderboards/audited")
    assert (await newest(site, target="audited"))["action"] == "leaderboard.delete"

    cup = {
        "id": "audited-cup", "title": "One", "starts_at": now().isoformat(), "event_type": "t", "operator": "count",
        "ends_at": (now() + timedelta(hours=1)).isoformat(),
    }  # fmt: skip
    assert (await site.post("/api/tournaments", cup, "server")).status_code == 201
    assert (await newest(site, target="audited-cup"))["action"] == "tournament.create"
    answer = await site.client.patch(
        "/api/tournaments/audited-cup", json={"title": "Two"}, headers=site.headers("server")
    )
    assert answer.status_code == 200, answer.text
    entry = await newest(site, target="audited-cup")
    assert (entry["action"], entry["before"]["title"], entry["after"]["title"]) == ("tournament.change", "One", "Two")
    await site.post("/api/tournaments/audited-cup/cancel", {}, "server")
    entry = await newest(site, target="audited-cup")
    assert (entry["action"], entry["after"]["status"]) == ("tournament.cancel", "cancelled")
    assert entry["before"]["status"] != "cancelled"


async def test_what_was_there_before_is_told_of_what_is_undone(site: Site) -> None:
    await site.post("/api/players/rex/ban", {"reason": "one"}, "server")
    await site.post("/api/players/rex/ban", {"reason": "two"}, "server")
    entry = await newest(site, target="rex")
    assert (entry["before"]["reason"], entry["after"]["reason"]) == ("one", "two")
    await site.post("/api/players/rex/unban", {}, "server")
    assert (await newest(site, target="rex"))["before"]["reason"] == "two"

    for name in ("Rex", "King"):
        await site.put("/api/players/rex", {"display_name": name, "metadata": {"clan": name}})
    entry = await newest(site, target="rex")
    assert (entry["before"]["metadata"], entry["after"]["metadata"]) == ({"clan": "Rex"}, {"clan": "King"})

    hook = (await site.post("/api/webhooks", {"url": "https://93.184.216.34/told"}, "server")).json()
    await site.delete(f"/api/webhooks/{hook['id']}")
    entry = await newest(site, target=hook["id"])
    assert (entry["action"], entry["before"]["url"]) == ("webhook.delete", "https://93.184.216.34/told")
    assert hook["secret"] not in (await site.get("/api/audit-log", "admin")).text


async def test_what_fails_is_not_in_it(site: Site) -> None:
    before = (await site.get("/api/audit-log", "admin")).json()["entries"][:1]
    problem(await site.post("/api/players/nobody/unban", {}, "server"), 404, "player_not_banned")
    problem(await site.delete("/api/webhooks/none"), 404, "webhook_not_found")
    assert (await site.get("/api/audit-log", "admin")).json()["entries"][:1] == before


async def test_a_player_who_names_themself_is_no_operator(site: Site) -> None:
    token = await site.token("self")
    assert (await site.put("/api/players/self", {"display_name": "Me"}, token)).status_code == 200
    assert (await site.get("/api/audit-log", "admin", params={"target": "self"})).json()["entries"] == []
    assert (await site.put("/api/players/self", {"display_name": "Other"}, "server")).status_code == 200
    assert (await newest(site, target="self"))["after"]["display_name"] == "Other"


async def test_pages_and_filters(site: Site) -> None:
    for number in range(5):
        await site.put("/api/players/paged", {"display_name": f"n{number}"}, "server")
    seen, cursor = [], None
    while True:
        page = (
            await site.get(
                "/api/audit-log",
                "admin",
                params={"target": "paged", "limit": 2, "action": "player.put"} | ({"cursor": cursor} if cursor else {}),
            )
        ).json()
        seen += [entry["after"]["display_name"] for entry in page["entries"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == ["n4", "n3", "n2", "n1", "n0"]
    later = (now() + timedelta(hours=1)).isoformat()
    answer = await site.get("/api/audit-log", "admin", params={"target": "paged", "from": later})
    assert answer.json()["entries"] == []
    answer = await site.get("/api/audit-log", "admin", params={"target": "paged", "to": later})
    assert len(answer.json()["entries"]) == 5
    # Whoever did what, by the time alone.
    for params in ({"from": later}, {"to": (now() - timedelta(hours=1)).isoformat()}):
        assert (await site.get("/api/audit-log", "admin", params=params)).json()["entries"] == []
    params = {"from": (now() - timedelta(hours=1)).isoformat(), "to": later, "limit": 5}
    entries = (await site.get("/api/audit-log", "admin", params=params)).json()["entries"]
    assert [entry["target"] for entry in entries] == ["paged"] * 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"), ("limit", "1001"), ("limit", "x"), ("cursor", "x"), ("cursor", "é"), ("action", "x"),
        ("from", "yesterday"), ("to", "2026-01-01"), ("actor", "a" * 600), ("target", "\x00"),
    ],
)  # fmt: skip
async def test_wrong_parameters_are_named(site: Site, name: str, value: str) -> None:
    found = problem(await site.get("/api/audit-log", "admin", params={name: value}), 422, "invalid")
    assert found["errors"][0]["path"] == name


REWRITES = (
    "UPDATE audit_log SET actor = 'me'",
    "UPDATE audit_log SET recorded_at = now() - interval '1 day'",
    "UPDATE audit_log SET before = NULL, after = NULL",
    "UPDATE audit_log SET target = 'nobody' WHERE target = 'kept'",
    f"UPDATE audit_log SET target = 'erased-{'0' * 32}' WHERE target = 'kept'",
    f"UPDATE audit_log SET target = 'erased-{'1' * 32}' WHERE target = 'kept'",
    "UPDATE audit_log SET target = (SELECT pseudonym FROM erasures), actor = 'me', before = NULL, after = NULL"
    " WHERE target = 'kept'",
    "DELETE FROM audit_log",
    "TRUNCATE audit_log",
)


async def test_nobody_rewrites_it(site: Site) -> None:
    """Not while somebody is erased, nor in the setting that once opened it, nor with functions of one's own."""
    await site.put("/api/players/kept", {"display_name": "K"}, "server")
    async with site.core.database.connection() as connection:
        await connection.execute(
            f"""
            INSERT INTO erasures VALUES (gen_random_uuid(), '', 'kept', 'erased-{"1" * 32}', now());
            SET grandstand.erasing = 'on';
            CREATE SCHEMA evil;
            CREATE FUNCTION evil.audit_entry_without(audit_log, text, text) RETURNS audit_log LANGUAGE sql
                AS 'SELECT NULL::audit_log';
            CREATE TEMPORARY TABLE erasures AS SELECT * FROM {SCHEMA}.erasures;
            SET search_path = evil, {SCHEMA};
            """
        )
        for statement in REWRITES:
            with pytest.raises(asyncpg.RaiseError, match="only added to"):
                await connection.execute(statement)
        path = await connection.fetchval("SHOW search_path")
        await connection.execute("DROP TABLE pg_temp.erasures; RESET search_path; RESET grandstand.erasing")
        assert path == f"evil, {SCHEMA}"
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("UPDATE erasures SET pseudonym = 'admin:key_2'")
        await connection.execute("DELETE FROM erasures")
    assert (await newest(site, target="kept"))["after"]["display_name"] == "K"
