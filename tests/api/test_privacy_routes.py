"""`GET /api/players/{user_id}/export` and `DELETE /api/players/{user_id}` over HTTP."""

from urllib.parse import quote
from uuid import uuid4

import pytest

from grandstand.operations.export_player import MEMORY_BYTES_MAX
from grandstand.storage.player_exports import SECTIONS
from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio


def path(user_id: str, rest: str = "") -> str:
    return f"/api/players/{quote(user_id, safe='')}{rest}"


async def play(site: Site, user_id: str, count: int = 1, **payload: object) -> None:
    for _ in range(count):
        event = {"event_type": "game_ended", "user_id": user_id, "payload": {"score": 5} | payload}
        assert (await site.post("/api/events", event, "server")).status_code == 202
    await site.work()


async def test_an_export_has_what_is_kept(site: Site) -> None:
    user = f"exported ☂ {uuid4().hex}"
    await play(site, user, note="für dich")
    await site.put(path(user), {"display_name": "Zoë", "metadata": {"a": [1, None]}}, "server")
    await site.post(path(user, "/ban"), {"reason": "test"}, "server")
    await site.post(path(user, "/unban"), {}, "server")
    await play(site, user)
    token = await site.token(user)
    answer = await site.get(path(user, "/export"), token)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "private, no-store"
    export = answer.json()
    assert export["user_id"] == user
    assert export["profile"]["display_name"] == "Zoë"
    assert export["profile"]["metadata"] == {"a": [1, None]}
    assert [event["payload"].get("note") for event in export["events"]] == ["für dich", None]
    assert [(rank["leaderboard"], rank["score"]) for rank in export["ranks"]] == [("global", 5)]
    assert [entry["leaderboard"] for entry in export["entries"]] == ["global"]
    assert [entry["action"] for entry in export["audit_log"]] == ["player.put", "player.ban", "player.unban"]
    assert set(SECTIONS) <= export.keys()


async def test_a_large_export_is_whole(site: Site) -> None:
    user = uuid4().hex
    filler = "x" * 16_000
    count = MEMORY_BYTES_MAX // len(filler) + 10
    await play(site, user, count, filler=filler)
    export = (await site.get(path(user, "/export"), "server")).json()
    assert len({event["id"] for event in export["events"]}) == count


async def test_nothing_known_is_nothing_to_export(site: Site) -> None:
    problem(await site.get(path(uuid4().hex, "/export"), "server"), 404, "player_not_found")


async def test_an_erased_player_is_gone_and_older_tokens_are_of_no_use(site: Site) -> None:
    user = f"erased ✓ {uuid4().hex}"
    await play(site, user)
    token = await site.token(user)
    answer = await site.delete(path(user), token)
    assert answer.status_code == 202
    assert answer.json()["status"] == "pending"
    assert user not in answer.text
    problem(await site.get(path(user, "/export"), token), 401, "unauthorized")
    problem(await site.get(f"/api/leaderboards/global/users/{quote(user, safe='')}", None), 404, "not_ranked")
    assert (await site.delete(path(user))).json() == answer.json()
    while not await site.core.new_erasure_finisher().finish():
        pass
    problem(await site.get(path(user), "server"), 404, "player_not_found")
    problem(await site.get(path(user, "/export"), "server"), 404, "player_not_found")
    # The record is all that is left, and still refuses what was issued before.
    await site.services.authenticator.refresh()
    problem(await site.get(path(user), token), 401, "unauthorized")
    listed = await site.get("/api/audit-log", "admin", params={"action": "player.erase"})
    assert user not in listed.text
    assert listed.json()["entries"][0]["actor"] in ("player", "server") or user not in listed.text
    await play(site, user)
    new = await site.token(user)
    assert len((await site.get(path(user, "/export"), new)).json()["events"]) == 1


async def test_devices_of_an_erased_player_begin_anew(site: Site) -> None:
    device = {"device_id": uuid4().hex}
    first = (await site.post("/api/players/sessions", device, "client")).json()
    assert (await site.delete(path(first["user_id"]), first["token"])).status_code == 202
    second = (await site.post("/api/players/sessions", device, "client")).json()
    assert second["user_id"] != first["user_id"]


async def test_ids_that_nobody_can_have_are_refused(site: Site) -> None:
    problem(await site.delete("/api/players/%00"), 422, "invalid")
