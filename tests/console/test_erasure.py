"""A player whom operators looked up, typed into forms, banned and counted in reports is erased from the console."""

import asyncio
from contextlib import suppress

import pytest

from grandstand.operations.count_events import EventCounter
from grandstand.operations.kept_reports import KeptReports, ReportKeeper, ReportNotReadyError
from grandstand.operations.read_analytics import AnalyticsReader
from grandstand.operations.report_questions import Span
from grandstand.storage.analytics import AnalyticsStore
from tests.console.door import PASSWORD, Door, token_of
from tests.console.test_forms import BOARD, Fields
from tests.privacy.life import NAME, holds, places_in_postgres, places_in_valkey

pytestmark = pytest.mark.anyio
HERE = {"Sec-Fetch-Site": "same-origin"}
LOOKED_AT = ("players", "events", "quarantine", "dead-letters", "prizes", "leaderboards/global")


async def test_what_operators_did_keeps_no_byte_of_the_id(door: Door) -> None:
    site, core = door.site, door.site.core
    for user_id in (NAME, "another"):
        await door.put_player(user_id)
        events = [{"event_type": "game_ended", "user_id": user_id, "payload": {"score": 5, "who": user_id}}] * 3
        assert (await site.post("/api/events", events, "server")).status_code == 202
    await site.work()
    await EventCounter(core.database, core.event_log).count()
    await count_a_report(door)
    async with await door.enter("ann") as client:
        token = {"form_token": await token_of(client)}
        hook = {"url": "https://93.184.216.34/hook", "event_types": "prize.claimed", "description": "All"}
        assert (await client.post("/console/webhooks", data=hook | token)).status_code == 200
        async with core.database.transaction() as connection:
            await core.outbox.add(connection, "prize.claimed", {"user_id": NAME})
        for page in LOOKED_AT:
            assert (await client.get(f"/console/{page}", params={"user_id": NAME})).status_code == 200, page
        assert (await client.get("/console/audit-log", params={"target": NAME})).status_code == 200
        # Refused, kept in the page and offered again; sent, and sent again.
        once = Fields((await client.get("/console/leaderboards/-/new")).text).sent()
        board = {**BOARD, "key": "erased-from", "title": f"Of {NAME}", "form_once": once["form_once"]}
        for wrong in ({"order": "odd"} | token, {"form_token": "odd"}):
            answer = await client.post("/console/leaderboards/-/new", data=board | wrong, headers=HERE)
            assert answer.status_code in (403, 422)
            assert holds(Fields(answer.text).values["title"])
        ban = {"user_id": NAME, "reason": f"{NAME} plays with wires"}
        assert (await client.post("/console/players/ban", data=ban | token)).status_code == 303
        assert (await client.post("/console/players/export", data={"user_id": NAME} | token)).status_code == 200
    async with door.client("a-session-that-ended") as client:
        kept = await client.post("/console/players/ban", data=ban | token, headers=HERE)
        assert kept.status_code == 401
        assert "wires" in kept.text
        again = Fields(kept.text).sent()
        wrong = again | {"name": NAME, "password": "no"}
        assert (await client.post("/console/log-in", data=wrong)).status_code == 401
        inside = await client.post("/console/log-in", data=again | {"name": "ann", "password": PASSWORD})
        assert "wires" in inside.text
    held = await places_in_postgres(core)
    assert {"audit_log.after", "audit_log.target", "reports.outcome", "webhook_events.payload"} <= held
    async with await door.enter("ann") as client:
        erase = {"user_id": NAME, "again": NAME, "form_token": await token_of(client)}
        assert (await client.post("/console/players/erase", data=erase | {"again": "odd"})).status_code == 422
        assert (await client.post("/console/players/erase", data=erase)).status_code == 303
        while not await core.new_erasure_finisher().finish():
            pass
        assert await places_in_postgres(core) | await places_in_valkey(core) == set()
        for page in ("audit-log", "players", "webhooks"):
            assert not holds((await client.get(f"/console/{page}")).text), page


async def count_a_report(door: Door) -> None:
    """Let a retention by a field in which the id stands be counted and kept, as the page of analytics asks for it."""
    database = door.site.core.database
    reports = KeptReports(database, database, age_max_seconds=600, patience_seconds=0)
    reader = AnalyticsReader(database, AnalyticsStore(), reports, at_once_events_max=-1)
    with suppress(ReportNotReadyError):
        await reader.retention(Span(), "who")
    assert await ReportKeeper(database, asyncio.Event(), age_max_seconds=600).keep() == 1
