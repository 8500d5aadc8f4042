"""What single pages say of odd names and numbers, what they keep, and for how long they are kept."""

import re
from base64 import b64decode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from markupsafe import escape

from grandstand.console.assets import ASSETS, asset_url
from grandstand.domain.errors import UnavailableError
from grandstand.domain.events import Event
from grandstand.operations.count_events import EventCounter
from grandstand.operations.operator_sessions import OperatorSessions
from tests.api.tournament_steps import set_clock
from tests.console.door import PASSWORD, Door, token_of
from tests.console.test_forms import BOARD, BOARD_RULE, CUP, Fields
from tests.support.core import NOON, Core, block, event

pytestmark = pytest.mark.anyio

HERE = {"Sec-Fetch-Site": "same-origin"}


async def test_boards_and_tournaments_may_be_called_as_pages_are(door: Door) -> None:
    async with await door.enter("liv") as client:
        token = {"form_token": await token_of(client)}
        for kind, sent in (("leaderboards", BOARD), ("tournaments", CUP)):
            for name in ("new", "check", "calendar"):
                form = {**sent, "key": name, "id": name, "title": f"Called {name}", **token}
                made = await client.post(f"/console/{kind}/-/new", data=form)
                assert made.status_code == 303
                shown = await client.get(made.headers["location"])
                assert f"<h1>Called {name}</h1>" in shown.text, made.headers["location"]


async def test_kept_fields_with_spaces_outlive_a_change_of_something_else(door: Door) -> None:
    keep = ["max level", 'the "best", so far', "mode"]
    definition = {"event_type": "game_ended", "operator": "best", "field": "score", "keep": keep}
    await door.console.api.definer.put("spaced", msgspec.json.encode(definition))
    async with await door.enter("liv") as client:
        form = Fields((await client.get("/console/leaderboards/spaced/edit")).text).sent()
        done = await client.post("/console/leaderboards/spaced/edit", data={**form, "title": "Another"})
        assert done.status_code == 303
        assert list((await door.console.api.definer.get("spaced")).keep) == keep
        wrong = await client.post(
            "/console/leaderboards/spaced/edit", data={**form, "keep": '"max level', "form_once": ""}
        )
        assert "quotation marks" in Fields(wrong.text).message("keep")


async def test_a_key_is_rotated_once_however_often_its_form_is_sent(door: Door) -> None:
    async with await door.enter("ann") as client:
        token = {"form_token": await token_of(client)}
        made = await client.post("/console/keys", data={"kind": "client", "name": "to rotate", **token})
        shown = made.text[made.text.index("to rotate<br>") :]
        found = re.search(r'action="(/console/keys/[^"]+/rotate)">(.*?)</form>', shown, re.DOTALL)
        assert found is not None
        path, form = found[1], Fields(found[2]).sent()
        assert (await client.post(path, data=form)).status_code == 200
        assert (await client.post(path, data=form)).status_code == 409
        assert (await client.get("/console/keys")).text.count("to rotate<br>") == 2


@pytest.mark.parametrize("what", ["the session cannot be looked up", "the change cannot be made"])
async def test_what_was_typed_outlives_an_engine_that_is_away(
    door: Door, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise UnavailableError("PostgreSQL is out of reach.", retry_after=3)

    typed = {**BOARD, "key": f"away-{len(what)}", "title": 'A "typed" <title>'}
    async with await door.enter("liv") as client:
        form = {**typed, "form_token": await token_of(client)}
        with monkeypatch.context() as patch:
            if "session" in what:
                patch.setattr(OperatorSessions, "find", fail)
            else:
                patch.setattr(door.console.api.definer, "put", fail)
            answer = await client.post("/console/leaderboards/-/new", data=form, headers=HERE)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
            silent = await client.post("/console/leaderboards/-/new", data=form)
            assert silent.status_code == 503
            assert "typed" not in silent.text, "without a word from the browser the form may be anybody's"
        again = Fields(answer.text).sent()
        assert {name: again[name] for name in typed} == typed
        made = await client.post("/console/leaderboards/-/new", data=again, headers=HERE)
        assert made.status_code == 303, made.text


async def test_a_form_outlives_a_log_in_that_meets_an_engine_that_is_away(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> Any:
        raise UnavailableError("PostgreSQL is out of reach.", retry_after=3)

    typed = {**BOARD, "key": "away-twice", "title": 'A "typed" <title>'}
    async with door.client("a-session-that-ended") as client:
        asked = await client.post("/console/leaderboards/-/new", data=typed, headers=HERE)
        with monkeypatch.context() as patch:
            patch.setattr(OperatorSessions, "log_in", fail)
            form = Fields(asked.text).sent() | {"name": "liv", "password": PASSWORD}
            away = await client.post("/console/log-in", data=form)
            assert (away.status_code, away.headers["retry-after"]) == (503, "3")
            assert PASSWORD not in away.text
        inside = await client.post("/console/log-in", data=Fields(away.text).sent() | {"password": PASSWORD})
    again = Fields(inside.text).sent()
    assert {name: again[name] for name in typed} == typed


async def test_a_long_form_outlives_its_session_too(door: Door) -> None:
    typed = {**BOARD, "key": "longest", "where": "+" * 80_000}
    async with door.client("a-session-that-ended") as client:
        answer = await client.post("/console/leaderboards/-/new", data=typed, headers=HERE)
        assert answer.status_code == 401
        form = Fields(answer.text).sent() | {"name": "liv", "password": PASSWORD}
        inside = await client.post("/console/log-in", data=form)
        assert inside.status_code == 200, inside.text[:300]
    assert Fields(inside.text).sent()["where"] == typed["where"]


async def test_what_was_typed_outlives_what_it_was_for(door: Door) -> None:
    rule = {"event_type": "game_ended", "operator": "count"}
    await door.console.api.definer.put("passing", msgspec.json.encode(rule))
    async with await door.enter("ann") as client:
        form = Fields((await client.get("/console/leaderboards/passing/edit")).text).sent()
        typed = {"title": "A <title> of <mine>", "where": '{"mode": "long to type"}'}
        await door.console.api.definer.delete("passing")
        answer = await client.post("/console/leaderboards/passing/edit", data=form | typed)
        assert answer.status_code == 404
        assert all(escape(text) in answer.text for text in typed.values())
        assert form["form_token"] not in answer.text.partition("<main")[2], "nor anything that was not typed"
        shown = await client.get("/console/leaderboards/passing")
        token = {"form_token": form["form_token"]}
        gone = [answer, shown]
        for path in ("webhooks/gone/test", "tournaments/gone/cancel", "keys/gone/revoke", "dead-letters/gone"):
            send = client.get(f"/console/{path}") if "letters" in path else client.post(f"/console/{path}", data=token)
            gone.append(await send)
        for each in gone:
            kind = each.request.url.path.split("/")[2]
            assert each.status_code == 404, kind
            assert "It may have been deleted meanwhile" in each.text, kind
            assert f'class="button is-main" href="/console/{kind}"' in each.text, kind
            assert '<nav aria-label="Pages">' in each.text, kind
            assert "This is what was typed" not in each.text or each is answer, kind


async def test_a_public_page_is_kept_as_the_answers_of_the_api_are(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    # Shortly before the end of an hour, beyond which neither may be kept.
    set_clock(monkeypatch, NOON + timedelta(minutes=59, seconds=30))
    for key, rule in (("for-ever", BOARD_RULE | {"period": "all_time"}), ("hourly", BOARD_RULE | {"period": "hourly"})):
        await door.console.api.definer.put(key, msgspec.json.encode(rule))
        async with door.client() as client:
            page = await client.get(f"/boards/{key}")
            answer = await client.get(f"/api/leaderboards/{key}")
        assert page.headers["cache-control"] == answer.headers["cache-control"], key


async def test_a_page_of_what_is_archived_while_it_is_read_is_not_kept_for_long(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that came late may be in the archive and not in what was read a moment before."""
    core, reader = door.site.core, door.console.api.reader
    rule = {**BOARD_RULE, "event_type": "close", "period": "hourly"}
    await door.console.api.definer.put("closing", msgspec.json.encode(rule))
    await core.refresh()
    set_clock(monkeypatch, NOON)
    await core.apply(event("ann", event_type="close", payload={"score": 1}))
    set_clock(monkeypatch, NOON + timedelta(hours=2))
    read = reader.page

    async def read_and_close(*arguments: Any, **options: Any) -> Any:
        found = await read(*arguments, **options)
        await core.new_closer().close()
        await core.refresh()
        return found

    monkeypatch.setattr(reader, "page", read_and_close)
    async with door.client() as client:
        for seconds in (60, 3600):
            page = await client.get("/boards/closing?period=20261124T120000Z")
            assert f"s-maxage={seconds}," in page.headers["cache-control"]


async def test_files_of_another_version_are_not_missing_during_an_upgrade(door: Door) -> None:
    async with door.client() as client:
        for digest, kept in ((ASSETS["console.css"].digest, "immutable"), ("0123456789abcdef", "no-store")):
            answer = await client.get(asset_url("console.css").replace(ASSETS["console.css"].digest, digest))
            assert answer.status_code == 200
            assert kept in answer.headers["cache-control"]
            assert answer.content == ASSETS["console.css"].body


async def test_one_player_is_one_and_who_cannot_be_seen_can_be_clicked_at(door: Door) -> None:
    unseen = "\u200b\u3164"
    board = {**BOARD_RULE, "event_type": "unseen", "period": "all_time"}
    await door.console.api.definer.put("unseen", msgspec.json.encode(board))
    sent = {"event_type": "unseen", "user_id": unseen, "payload": {"score": 7}}
    assert (await door.site.post("/api/events", [sent], "server")).status_code == 202
    await door.site.work()
    async with await door.enter("vera") as client:
        for path in ("/console/leaderboards/unseen", "/boards/unseen", "/console/events?event_type=unseen"):
            text = (await client.get(path)).text
            assert ">U+200B U+3164</" in text, path
            assert "1 players" not in text
        assert "1 player" in (await client.get("/boards/unseen")).text
    async with await door.enter("liv") as client:
        erase = {"user_id": unseen, "again": "U+200B", "form_token": await token_of(client)}
        assert (await client.post("/console/players/erase", data=erase)).status_code == 422
        assert (await client.post("/console/players/erase", data=erase | {"again": "U+200B U+3164"})).status_code == 303


async def test_prize_rules_are_counted_as_people_count(door: Door) -> None:
    async with await door.enter("liv") as client:
        token = {"form_token": await token_of(client)}
        for prizes, said in (
            ("1 coins 5\n1 coins 6", "rule 2 gives 'coins' to ranks that rule 1 gives it to already"),
            ("1 coins 5\n\n2 coins -6", "rule 2: amount must be between 1 and"),
        ):
            answer = await client.post("/console/tournaments/-/new", data={**CUP, "prizes": prizes, **token})
            assert said in Fields(answer.text).message("prizes")


async def take_and_count(core: Core, events: Sequence[Event]) -> None:
    await core.applier.apply([block(events, NOON)])
    await EventCounter(core.database, core.event_log).count()


async def test_an_hour_that_comes_twice_says_which_it_is(door: Door) -> None:
    core, began_at = door.site.core, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    seen = [event("ada", at=began_at + timedelta(hours=hours), event_type="twice") for hours in range(2)]
    await take_and_count(core, seen)
    query = "from=2026-10-25&to=2026-10-25&interval=hour&timezone=Europe/Berlin&event_type=twice&wait=1"
    async with await door.enter("vera") as client:
        text = (await client.get(f"/console/analytics/events?{query}")).text
    assert "2026-10-25 02:00 CEST" in text
    assert "2026-10-25 02:00 CET" in text


async def test_days_on_which_nothing_happened_have_their_place_in_a_chart(door: Door) -> None:
    core = door.site.core
    seen = [event("bob", at=datetime(2026, 10, day, 9, tzinfo=UTC), event_type="sparse") for day in (1, 2, 11)]
    await take_and_count(core, seen)
    span = "from=2026-10-01&to=2026-10-12&timezone=Europe/Berlin&wait=1"
    async with await door.enter("vera") as client:
        text = (await client.get(f"/console/analytics/events?{span}&event_type=sparse")).text
        assert ">2026-10-11</td>" in text
        found = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
        assert found is not None
        picture = b64decode(found[1]).decode()
        assert [label in picture for label in ("01 Oct", "03 Oct", "11 Oct", "12 Oct")] == [True, True, True, False]
        for query, has_groups in ((span, False), (f"{span}&by=n", True)):
            assert ("<th>Group</th>" in (await client.get(f"/console/analytics/retention?{query}")).text) is has_groups


async def test_where_nobody_did_anything_there_is_no_table_of_noughts(door: Door) -> None:
    span = "from=2025-01-01&to=2025-01-07&wait=1"
    async with await door.enter("vera") as client:
        for report in ("players", "sessions", "funnel?step_1=game_ended&step_2=purchase", "events", "retention"):
            text = (await client.get(f"/console/analytics/{report}{'&' if '?' in report else '?'}{span}")).text
            assert "Nothing happened in this time." in text, report
            assert "<table" not in text, report
            assert "Download as CSV" in text, report
        # Somebody who never came back did something.
        await take_and_count(door.site.core, [event("lone", at=datetime(2026, 9, 1, 9, tzinfo=UTC), event_type="lone")])
        shown = (await client.get("/console/analytics/retention?from=2026-09-01&to=2026-09-03&wait=1")).text
        assert ">2026-09-01</td>" in shown


async def test_who_may_not_see_a_page_is_led_only_where_it_may_go(door: Door) -> None:
    async with await door.enter("vera") as client:
        for path, leads in (("keys", False), ("dead-letters", False), ("leaderboards/-/new", True)):
            answer = await client.get(f"/console/{path}")
            shown = answer.text.partition("<main")[2]
            assert answer.status_code == 403
            assert "That is not allowed" in shown, path
            assert (f'href="/console/{path.partition("/")[0]}"' in shown) is leads, path


async def test_what_is_typed_of_a_definition_names_nothing_that_is_not_said(door: Door) -> None:
    rule = {"event_type": "game_ended", "operator": "best", "field": "score", "where": {"mode": None},
            "tiers": [{"id": "gold", "top_percent": 5}], "plausibility": {"score_max": 9}}  # fmt: skip
    await door.console.api.definer.put("sparing", msgspec.json.encode(rule))
    before = await door.console.api.definer.get("sparing")
    async with await door.enter("liv") as client:
        form = Fields((await client.get("/console/leaderboards/sparing/edit")).text).sent()
        assert "null" not in form["tiers"] + form["plausibility"]
        assert (await client.post("/console/leaderboards/sparing/edit", data=form)).status_code == 303
    assert await door.console.api.definer.get("sparing") == before
