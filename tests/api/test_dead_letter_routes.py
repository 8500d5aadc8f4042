"""Dead letters over HTTP: who may, listed, read, sent again once, deleted."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from grandstand.api.dead_letters import REPLAY_BYTES_MAX
from grandstand.domain.event_model import decode_events, join_entry
from grandstand.storage.event_stream import HIGH, LOW
from grandstand.workers import event_consumer
from tests.api.conftest import Site, problem
from tests.support.core import NOON, event
from tests.support.poison import append, poison, text_of
from tests.support.waiting import eventually_async
from tests.support.workers import consumer, running

pytestmark = pytest.mark.anyio

PATH = "/api/dead-letters"
UNKNOWN = "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"
moment = datetime.fromisoformat


@pytest.fixture(autouse=True)
async def no_dead_letters(module_site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    # What is due again is looked at between two waits for something new, of which nothing comes here.
    monkeypatch.setattr(event_consumer, "_WAIT_SECONDS", 0.02)
    yield
    await module_site.core.database.pool.execute("TRUNCATE dead_letters; DROP TRIGGER IF EXISTS refuse ON entries")
    await work(module_site)


async def work(site: Site) -> None:
    """Let a worker process what is there, with all its attempts."""

    async def is_drained() -> bool:
        return (await site.core.stream.depth()).depth == 0

    async with running(consumer(site.core, retry_seconds=0.02)):
        await eventually_async(is_drained, 150)


async def bury(site: Site, *texts: bytes, priority: int = HIGH) -> list[dict[str, Any]]:
    """Make dead letters of bad events; return all there are, the newest first."""
    for text in texts:
        await append(site.core, [text], priority=priority)
        await work(site)
    return await listed(site)


async def listed(site: Site, query: str = "") -> list[dict[str, Any]]:
    answer = await site.get(f"{PATH}?limit=1000&{query}", "admin")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["dead_letters"]
    return found


async def refuse_ann(site: Site) -> None:
    """Make the database refuse entries of ann, until `allow_ann`."""
    await site.core.database.pool.execute(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'ann is refused'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON entries FOR EACH ROW WHEN (NEW.user_id = 'ann')"
        "EXECUTE FUNCTION refuse()"
    )


async def allow_ann(site: Site) -> None:
    await site.core.database.pool.execute("DROP TRIGGER refuse ON entries")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", PATH),
        ("GET", f"{PATH}/{UNKNOWN}"),
        ("POST", f"{PATH}/replay"),
        ("POST", f"{PATH}/{UNKNOWN}/replay"),
        ("DELETE", f"{PATH}/{UNKNOWN}"),
    ],
)
async def test_only_an_admin_may(site: Site, method: str, path: str) -> None:
    problem(await site.client.request(method, path), 401, "unauthorized")
    for who in ("server", "client", await site.token("ann")):
        problem(await site.client.request(method, path, headers=site.headers(who)), 403, "forbidden")


@pytest.mark.parametrize("letter_id", [UNKNOWN, "x", "%00", "replay"])
async def test_what_is_not_there(site: Site, letter_id: str) -> None:
    problem(await site.post(f"{PATH}/{letter_id}/replay", b"", "admin"), 404, "dead_letter_not_found")
    if letter_id != "replay":
        problem(await site.get(f"{PATH}/{letter_id}", "admin"), 404, "dead_letter_not_found")
        problem(await site.delete(f"{PATH}/{letter_id}", "admin"), 404, "dead_letter_not_found")


async def test_a_letter_tells_what_came_and_why_it_failed(site: Site) -> None:
    bad = poison()
    (letter,) = await bury(site, bad, priority=LOW)
    assert letter["event_type"] == "game_ended"
    assert letter["user_id"] == "eve"
    assert letter["event_id"].encode() in bad
    assert (letter["form"], letter["priority"], letter["status"]) == ("event", "low", "dead")
    assert (letter["attempts"], letter["replayed_at"], letter["events"]) == (3, None, 1)
    assert letter["error"] == "UntranslatableCharacterError"
    assert "Unicode" in letter["message"]
    assert moment(letter["occurred_at"]) == moment(letter["received_at"]) == NOON
    assert moment(letter["first_failed_at"]) < moment(letter["last_failed_at"])
    assert "body" not in letter
    one = (await site.get(f"{PATH}/{letter['id']}", "admin")).json()
    assert one == letter | {"body": bad.decode(), "body_base64": None}


async def test_a_body_that_is_no_text_is_served_in_base64(site: Site) -> None:
    body = b"\xff\x00 no text"
    await site.core.streams.append_encoded(HIGH, 5, body, NOON)
    await work(site)
    (letter,) = await listed(site)
    assert (letter["form"], letter["events"], letter["event_id"], letter["user_id"]) == ("block", 5, None, None)
    one = (await site.get(f"{PATH}/{letter['id']}", "admin")).json()
    assert one["body"] is None
    assert base64.b64decode(one["body_base64"]) == body


async def test_by_page_and_filter(site: Site) -> None:
    whole = await bury(site, *(poison() for _ in range(3)), poison("no user"), poison("an id that is none"))
    assert [letter["id"] for letter in whole] == sorted((letter["id"] for letter in whole), reverse=True)
    walked: list[dict[str, Any]] = []
    cursor = ""
    for expected in (2, 2, 1):
        page = (await site.get(f"{PATH}?limit=2&cursor={cursor}", "admin")).json()
        assert len(page["dead_letters"]) == expected
        walked += page["dead_letters"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert walked == whole
    assert len(await listed(site, "user_id=eve")) == 4
    assert len(await listed(site, "event_type=game_ended&error=ValidationError")) == 1
    assert await listed(site, "event_type=other") == []
    assert await listed(site, "status=replayed") == []
    for query, name in (
        ("status=lost", "status"), ("limit=0", "limit"), ("limit=1001", "limit"), ("cursor=AAAA", "cursor"),
        ("cursor=é", "cursor"), ("event_type=%00", "event_type"), ("user_id=%00", "user_id"),
        (f"error={'x' * 256}", "error"),
    ):  # fmt: skip
        refused = problem(await site.get(f"{PATH}?{query}", "admin"), 422, "invalid")
        assert refused["errors"][0]["path"] == name


async def test_a_replay_after_the_repair_is_ranked_once(site: Site) -> None:
    await site.core.define("sum", operator="sum")
    await refuse_ann(site)
    sent = event("ann", 7)
    (letter,) = await bury(site, text_of(sent))
    assert letter["message"] == "ann is refused"
    await allow_ann(site)
    answers = await asyncio.gather(*(site.post(f"{PATH}/{letter['id']}/replay", b"", "admin") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [202] * 5
    assert {answer.json()["status"] for answer in answers} == {"replayed"}
    assert (await site.core.stream.depth()).depth == 1, "a double click sends once"
    (block,) = await site.core.stream.read("tests", HIGH, 10)
    (again,) = decode_events(block.data)
    assert again.id == str(sent.id)
    assert block.received_at > NOON
    await site.core.applier.apply([block])
    await site.core.stream.acknowledge([block])
    assert (await site.get("/api/leaderboards/sum/users/ann")).json()["score"] == 7
    (after,) = await listed(site)
    assert after == answers[0].json()
    assert await listed(site, "status=dead") == []


async def test_a_replay_that_fails_again_is_the_same_letter_again(site: Site) -> None:
    (letter,) = await bury(site, poison())
    assert (await site.post(f"{PATH}/{letter['id']}/replay", b"", "admin")).json()["status"] == "replayed"
    await work(site)
    (again,) = await listed(site)
    assert (again["id"], again["status"], again["replayed_at"]) == (letter["id"], "dead", None)
    assert moment(again["last_failed_at"]) > moment(letter["last_failed_at"])
    assert again["first_failed_at"] == letter["first_failed_at"]


async def test_a_crash_in_the_middle_of_a_replay_loses_and_doubles_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.core.define("twice", operator="sum")
    await refuse_ann(site)
    (letter,) = await bury(site, text_of(event("ann", 7)))
    await allow_ann(site)
    path = f"{PATH}/{letter['id']}/replay"

    async def away(*_: Any) -> None:
        raise ValkeyConnectionError("gone")

    with monkeypatch.context() as before:
        before.setattr(site.core.valkey.connection_pool.line, "run", away)
        problem(await site.post(path, b"", "admin"), 503, "unavailable")
    (still,) = await listed(site)
    assert still["status"] == "dead"
    with monkeypatch.context() as after:
        after.setattr(site.core.letters, "mark_replayed", away)
        problem(await site.post(path, b"", "admin"), 503, "unavailable")
    assert (await site.core.stream.depth()).depth == 1
    assert (await listed(site))[0]["status"] == "dead"
    assert (await site.post(path, b"", "admin")).status_code == 202
    await work(site)
    assert (await site.get("/api/leaderboards/twice/users/ann")).json()["score"] == 7


async def test_many_at_once(site: Site) -> None:
    await refuse_ann(site)
    events = [event("ann", number) for number in range(230)]
    await append(site.core, [text_of(item) for item in events])
    await work(site)
    assert len(await bury(site, poison(), poison("no user"))) == 232
    await allow_ann(site)
    before = await site.core.count_events()
    some = await site.post(f"{PATH}/replay", {"user_id": "ann", "limit": 120}, "admin")
    assert (some.status_code, some.json()) == (202, {"replayed": 120, "remaining": 110})
    rest = await site.post(f"{PATH}/replay", {"error": "RaiseError", "event_type": "game_ended"}, "admin")
    assert rest.json() == {"replayed": 110, "remaining": 0}
    assert (await site.core.stream.depth()).depth == 230
    await work(site)
    assert await site.core.count_events() == before + 230
    assert (await site.get("/api/leaderboards/global/users/ann")).json()["score"] == 229
    every = await site.post(f"{PATH}/replay", b"", "admin")
    assert every.json() == {"replayed": 2, "remaining": 0}
    await work(site)
    assert len(await listed(site, "status=dead")) == 2
    assert (await site.post(f"{PATH}/replay", {"user_id": "nobody"}, "admin")).json() == {
        "replayed": 0,
        "remaining": 2 - 2,
    }


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"[]", 422, "invalid"),
        (b'{"limit":0}', 422, "invalid"),
        (b'{"limit":10001}', 422, "invalid"),
        (b'{"limit":"1"}', 422, "invalid"),
        (b'{"users":"x"}', 422, "invalid"),
        (b'{"user_id":""}', 422, "invalid"),
        (b'{"error":"\\u0000"}', 422, "invalid"),
        (b" " * (REPLAY_BYTES_MAX + 1), 413, "body_too_large"),
    ],
)
async def test_a_bulk_replay_that_is_wrong(site: Site, body: bytes, status: int, code: str) -> None:
    problem(await site.post(f"{PATH}/replay", body, "admin"), status, code)


async def test_a_block_is_sent_again_as_it_came(site: Site) -> None:
    await site.core.streams.append_encoded(HIGH, 3, b"no array", NOON)
    await work(site)
    (letter,) = await listed(site)
    await site.post(f"{PATH}/{letter['id']}/replay", b"", "admin")
    (block,) = await site.core.stream.read("tests", HIGH, 10)
    assert (block.data, block.events) == (b"no array", 3)
    await site.core.stream.acknowledge([block])
    bad = poison("no object")
    event_letter = (await bury(site, bad))[0]
    await site.post(f"{PATH}/{event_letter['id']}/replay", b"", "admin")
    (block,) = await site.core.stream.read("tests", HIGH, 10)
    assert block.data == join_entry([bad])
    await site.core.stream.acknowledge([block])


async def test_deleted_is_gone(site: Site) -> None:
    (letter,) = await bury(site, poison())
    answer = await site.delete(f"{PATH}/{letter['id']}", "admin")
    assert (answer.status_code, answer.content) == (204, b"")
    problem(await site.delete(f"{PATH}/{letter['id']}", "admin"), 404, "dead_letter_not_found")
    problem(await site.post(f"{PATH}/{letter['id']}/replay", b"", "admin"), 404, "dead_letter_not_found")
    assert await listed(site) == []


async def test_what_was_replayed_long_ago_is_forgotten(site: Site) -> None:
    first, second = await bury(site, poison(), poison())
    await site.post(f"{PATH}/{first['id']}/replay", b"", "admin")
    pool = site.core.database.pool
    await site.services.dead_letters.prune()
    assert len(await listed(site)) == 2
    await pool.execute("UPDATE dead_letters SET replayed_at = replayed_at - interval '31 days'")
    await pool.execute("UPDATE dead_letters SET last_failed_at = last_failed_at - interval '31 days'")
    await site.services.dead_letters.prune()
    assert [letter["id"] for letter in await listed(site)] == [second["id"]], "what is dead waits for somebody"
