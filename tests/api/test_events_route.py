"""`POST /api/events`: what is taken, what is refused, with which code, and that neighbours of bad events are taken."""

import asyncio
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import zstandard

from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio
GOOD: dict[str, Any] = {"event_type": "game_ended", "user_id": "ann", "payload": {"score": 7}}
GOOD_TEXT = json.dumps(GOOD).encode()


async def post(site: Site, content: Any, **more: Any) -> Any:
    return await site.post("/api/events", content, "server", **more)


@pytest.mark.parametrize("shape", [lambda e: e, lambda e: [e], lambda e: {"events": [e]}])
async def test_three_shapes_are_taken(site: Site, shape: Any) -> None:
    answer = await post(site, shape(GOOD))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    assert await site.count_streamed() == 1


async def test_what_is_accepted_is_in_the_stream_as_sent(site: Site) -> None:
    event = GOOD | {"id": str(uuid4()), "occurred_at": datetime.now(UTC).isoformat()}
    await post(site, [event, GOOD | {"event_type": "ad_click"}])
    high = (await site.core.stream.read("test", 0, 1000))[-1]
    low = (await site.core.stream.read("test", 1, 1000))[-1]
    assert (high.events, low.events) == (1, 1)
    assert json.loads(high.data)[0] | {"occurred_at": event["occurred_at"]} == event


BAD: list[tuple[str, bytes, str]] = [
    ("no object", b"5", "invalid_event"),
    ("null", b"null", "invalid_event"),
    ("broken", b'{"event_type": nope}', "invalid_event_type"),
    ("no type", b'{"user_id":"u"}', "invalid_event_type"),
    ("type is a number", b'{"event_type":5,"user_id":"u"}', "invalid_event_type"),
    ("empty type", b'{"event_type":"","user_id":"u"}', "invalid_event_type"),
    ("long type", b'{"event_type":"%s","user_id":"u"}' % (b"t" * 51), "invalid_event_type"),
    ("no user", b'{"event_type":"t"}', "invalid_user_id"),
    ("empty user", b'{"event_type":"t","user_id":""}', "invalid_user_id"),
    ("long user", b'{"event_type":"t","user_id":"%s"}' % (b"u" * 256), "invalid_user_id"),
    ("NUL in user", b'{"event_type":"t","user_id":"a\\u0000"}', "invalid_user_id"),
    ("lone surrogate in user", b'{"event_type":"t","user_id":"\\ud800"}', "invalid_user_id"),
    ("bad UTF-8 in user", b'{"event_type":"t","user_id":"\xff"}', "invalid_user_id"),
    ("payload is an array", b'{"event_type":"t","user_id":"u","payload":[]}', "invalid_payload"),
    ("payload is null", b'{"event_type":"t","user_id":"u","payload":null}', "invalid_payload"),
    ("NUL in value", b'{"event_type":"t","user_id":"u","payload":{"a":"\\u0000"}}', "invalid_payload"),
    ("NUL in key", b'{"event_type":"t","user_id":"u","payload":{"\\u0000":1}}', "invalid_payload"),
    ("lone surrogate in value", b'{"event_type":"t","user_id":"u","payload":{"a":"\\udc00"}}', "invalid_payload"),
    ("lone surrogate in key", b'{"event_type":"t","user_id":"u","payload":{"\\ud83d":1}}', "invalid_payload"),
    ("bad UTF-8 in payload", b'{"event_type":"t","user_id":"u","payload":{"a":"\xed\xa0\x80"}}', "invalid_payload"),
    ("NaN", b'{"event_type":"t","user_id":"u","payload":{"a":NaN}}', "invalid_payload"),
    ("Infinity", b'{"event_type":"t","user_id":"u","payload":{"a":-Infinity}}', "invalid_payload"),
    ("1e999", b'{"event_type":"t","user_id":"u","payload":{"a":1e999}}', "invalid_payload"),
    ("1e-99999", b'{"event_type":"t","user_id":"u","payload":{"a":1e-99999}}', "invalid_payload"),
    ("5,000 digits", b'{"event_type":"t","user_id":"u","payload":{"a":%s}}' % (b"9" * 5000), "invalid_payload"),
    ("huge payload", b'{"event_type":"t","user_id":"u","payload":{"a":"%s"}}' % (b"x" * 16384), "payload_too_large"),
    ("deep", b'{"event_type":"t","user_id":"u","payload":%s1%s}' % (b'{"a":' * 65, b"}" * 65), "payload_too_deep"),
    ("bomb", b'{"event_type":"t","user_id":"u","payload":{"a":%s}}' % (b"[" * 50000 + b"]" * 50000),
     "payload_too_deep"),
    ("object bomb", b'{"event_type":"t","user_id":"u","payload":%s1%s}' % (b'{"a":' * 9000, b"}" * 9000),
     "payload_too_deep"),
    ("id is no UUID", b'{"event_type":"t","user_id":"u","id":"abc"}', "invalid_id"),
    ("id is a number", b'{"event_type":"t","user_id":"u","id":1}', "invalid_id"),
    ("naive time", b'{"event_type":"t","user_id":"u","occurred_at":"2026-01-01T00:00:00"}', "invalid_occurred_at"),
    ("number as time", b'{"event_type":"t","user_id":"u","occurred_at":1700000000}', "invalid_occurred_at"),
    ("leap second", b'{"event_type":"t","user_id":"u","occurred_at":"2016-12-31T23:59:60Z"}', "invalid_occurred_at"),
    ("year 0", b'{"event_type":"t","user_id":"u","occurred_at":"0000-01-01T00:00:00Z"}', "invalid_occurred_at"),
    ("year 1", b'{"event_type":"t","user_id":"u","occurred_at":"0001-01-01T00:00:00+14:00"}', "occurred_at_too_old"),
    ("year 9999", b'{"event_type":"t","user_id":"u","occurred_at":"9999-12-31T23:59:59-14:00"}',
     "occurred_at_in_future"),
    ("score", b'{"event_type":"game_ended","user_id":"u","payload":{"score":9007199254740992}}', "score_out_of_range"),
    ("score 1e300", b'{"event_type":"game_ended","user_id":"u","payload":{"score":-1e300}}', "score_out_of_range"),
    ("score with a half", b'{"event_type":"game_ended","user_id":"u","payload":{"score":9007199254740990.5}}',
     "score_out_of_range"),
    ("score just above", b'{"event_type":"game_ended","user_id":"u","payload":{"score":1.00000000000000000001}}',
     "score_out_of_range"),
    ("score below all", b'{"event_type":"game_ended","user_id":"u","payload":{"score":1e-400}}', "score_out_of_range"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "code"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
@pytest.mark.parametrize("wrapped", [False, True], ids=["array", "object"])
async def test_a_bad_event_is_named_and_its_neighbours_are_taken(
    site: Site, event: bytes, code: str, wrapped: bool
) -> None:
    array = b"[" + b" , ".join([GOOD_TEXT, event, GOOD_TEXT]) + b"]"
    answer = await post(site, b'{"events":%s}' % array if wrapped else array)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert body["accepted"] == 2
    assert [(each["index"], each["code"]) for each in body["rejected"]] == [(1, code)]
    assert body["rejected"][0]["message"].endswith((".", "-"))
    assert await site.count_streamed() == 2


@pytest.mark.parametrize(("event", "code"), [case[1:] for case in BAD[3:]], ids=[case[0] for case in BAD[3:]])
async def test_a_bad_event_alone_is_422_or_400(site: Site, event: bytes, code: str) -> None:
    answer = await post(site, event)
    if b"NaN" in event or b"Infinity" in event:
        problem(answer, 400, "malformed")
    else:
        body = problem(answer, 422, "invalid")
        assert [each["code"] for each in body["rejected"]] == [code]
        assert body["accepted"] == 0
        assert body["errors"][0]["path"] == "events[0]"
    assert await site.count_streamed() == 0


@pytest.mark.parametrize(
    "body",
    [b"", b"  ", b"nope", b"{", b"[", b"[}", b'{"a":1', b'[{"a":1},', b"[,]", b'["', b'"\\', b"5", b"null", b"true",
     b"\xef\xbb\xbf" + GOOD_TEXT, GOOD_TEXT + b"x", b"[" + GOOD_TEXT + b"] []", GOOD_TEXT.decode().encode("utf-16"),
     b'{"events":5}', b'{"events":null}', b'{"events":{}}', b'[nope]', b'{"event_type": nope}', b"[" * 100_000,
     b'{"a":' * 100_000, b'["' + b'\\"' * 100_000],
    ids=lambda body: repr(body[:12]),
)  # fmt: skip
async def test_a_body_that_cannot_be_read_is_400(site: Site, body: bytes) -> None:
    problem(await post(site, body), 400, "malformed")
    assert await site.count_streamed() == 0


@pytest.mark.parametrize("body", [b"[]", b" [ ] ", b'{"events":[]}'])
async def test_no_event_at_all_is_422(site: Site, body: bytes) -> None:
    assert problem(await post(site, body), 422, "invalid")["errors"]


async def test_101_events_are_413_and_none_is_taken(site: Site) -> None:
    problem(await post(site, [GOOD] * 101), 413, "batch_too_large")
    assert await site.count_streamed() == 0
    assert (await post(site, [GOOD] * 100)).json()["accepted"] == 100


async def test_a_mebibyte_and_one_byte_is_413(site: Site) -> None:
    padding = 1_048_576 - len(GOOD_TEXT)
    assert (await post(site, GOOD_TEXT + b" " * padding)).status_code == 202
    problem(await post(site, GOOD_TEXT + b" " * (padding + 1)), 413, "body_too_large")


async def test_times_around_the_limits(site: Site) -> None:
    now = datetime.now(UTC)

    def at(**ago: float) -> dict[str, Any]:
        return GOOD | {"occurred_at": (now - timedelta(**ago)).isoformat()}

    answer = await post(site, [at(minutes=-9), at(minutes=-11), at(days=29), at(days=31), GOOD])
    assert answer.json()["accepted"] == 3
    assert [(each["index"], each["code"]) for each in answer.json()["rejected"]] == [
        (1, "occurred_at_in_future"),
        (3, "occurred_at_too_old"),
    ]


@pytest.mark.parametrize(
    "payload",
    [{"score": 2**53 - 1}, {"score": -(2**53) + 1}, {"score": 1.5}, {"score": "9" * 30}, {}, {"other": 2**60},
     {"score": True}, {"score": 1e-300}],
)  # fmt: skip
async def test_what_cannot_be_ranked_is_stored_all_the_same(site: Site, payload: dict[str, Any]) -> None:
    assert (await post(site, GOOD | {"payload": payload})).json()["accepted"] == 1


async def test_a_board_made_later_decides_which_fields_are_scores(site: Site) -> None:
    event = {"event_type": "run", "user_id": "u", "payload": {"stats": {"time": 2**53}}}
    assert (await post(site, event)).status_code == 202
    await site.put(
        "/api/leaderboards/run", {"event_type": "run", "operator": "best", "field": "stats.time", "order": "asc"}
    )
    await site.core.refresh()
    answer = problem(await post(site, event), 422, "invalid")
    assert answer["rejected"][0]["code"] == "score_out_of_range"
    assert "payload.stats.time" in answer["rejected"][0]["message"]


async def test_null_means_missing_for_id_and_time(site: Site) -> None:
    answer = await post(site, GOOD | {"id": None, "occurred_at": None})
    assert answer.json()["accepted"] == 1


async def test_of_equal_names_the_last_counts(site: Site) -> None:
    await post(site, b'{"event_type":"a","user_id":"x","event_type":"game_ended","user_id":"y"}')
    block = (await site.core.stream.read("test", 0, 1000))[-1]
    assert json.loads(block.data)[0]["user_id"] == "y"


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [("gzip", gzip.compress), ("zstd", zstandard.compress), ("identity", bytes),
     ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:])),
     ("zstd", lambda body: zstandard.compress(body[:9]) + zstandard.compress(body[9:]))],
)  # fmt: skip
async def test_encoded_bodies(site: Site, encoding: str, encode: Any) -> None:
    answer = await post(site, encode(GOOD_TEXT), headers={"Content-Encoding": encoding})
    assert answer.json() == {"accepted": 1, "rejected": []}


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
async def test_bombs_are_413(site: Site, encoding: str, encode: Any) -> None:
    bomb = encode(b" " * 500_000_000)
    assert len(bomb) < 1_000_000
    problem(await post(site, bomb, headers={"Content-Encoding": encoding}), 413, "body_too_large")


@pytest.mark.parametrize(("encoding", "encode"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
@pytest.mark.parametrize("damage", [lambda body: body[:-3], lambda body: b"x" + body, lambda body: body + b"garbage"])
async def test_broken_encodings_are_400(site: Site, encoding: str, encode: Any, damage: Any) -> None:
    problem(await post(site, damage(encode(GOOD_TEXT)), headers={"Content-Encoding": encoding}), 400, "malformed")


@pytest.mark.parametrize(
    "headers",
    [{"Content-Type": "text/plain"}, {"Content-Type": "application/x-www-form-urlencoded"}, {"Content-Type": "json"},
     {"Content-Type": "application/json; charset=latin-1"}, {"Content-Encoding": "br"},
     {"Content-Encoding": "gzip, gzip"}],
)  # fmt: skip
async def test_other_types_and_encodings_are_415(site: Site, headers: dict[str, str]) -> None:
    problem(await post(site, GOOD_TEXT, headers=headers), 415, "unsupported_media_type")


async def test_a_wrong_content_type_is_told_with_the_right_one(site: Site) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    detail = (await post(site, GOOD_TEXT, headers=form)).json()["detail"]
    assert detail == "`Content-Type` is 'application/x-www-form-urlencoded'; send application/json."
    lines = await site.client.post("/api/events/import", content=GOOD_TEXT, headers=form | site.headers("server"))
    assert lines.json()["detail"].endswith("send application/x-ndjson.")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', ""])
async def test_usual_content_types_are_taken(site: Site, content_type: str) -> None:
    answer = await post(site, GOOD_TEXT, headers={"Content-Type": content_type})
    assert answer.status_code == 202


async def test_who_may_send(site: Site) -> None:
    token = await site.token("ann")
    path = "/api/events"
    missing = await site.post(path, GOOD)
    problem(missing, 401, "unauthorized")
    assert missing.headers["www-authenticate"].startswith("Bearer")
    problem(await site.post(path, GOOD, "gs_server_wrong-0123456789abcdef"), 401, "unauthorized")
    problem(await site.post(path, GOOD, headers={"Authorization": "Basic abc"}), 401, "unauthorized")
    problem(await site.post(path, GOOD, "client"), 403, "forbidden")
    for who in ("server", "admin", token):
        assert (await site.post(path, GOOD, who)).status_code == 202


async def test_a_player_sends_only_its_own_events(site: Site) -> None:
    token = await site.token("ann")
    answer = await site.post("/api/events", [GOOD, GOOD | {"user_id": "bob"}], token)
    assert answer.status_code == 202
    assert answer.json()["accepted"] == 1
    assert answer.json()["rejected"][0]["code"] == "forbidden_user"
    refused = problem(await site.post("/api/events", GOOD | {"user_id": "bob"}, token), 403, "forbidden")
    assert refused["rejected"][0]["code"] == "forbidden_user"


async def test_requests_at_once_share_writes_and_each_is_counted(site: Site) -> None:
    answers = await asyncio.gather(*(post(site, GOOD | {"user_id": f"u{number}"}) for number in range(200)))
    assert {answer.status_code for answer in answers} == {202}
    assert await site.count_streamed() == 200


async def test_rejections_are_counted_by_code(site: Site) -> None:
    await post(site, [GOOD, GOOD | {"user_id": ""}])
    text = (await site.get("/metrics", "server")).text
    assert 'grandstand_events_rejected_total{code="invalid_user_id"}' in text
    assert 'grandstand_http_requests_total{route="/api/events",status="202"}' in text
