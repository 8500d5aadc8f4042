"""Input that parsers disagree about, on every route that reads it: an answer below 500, and nothing that hangs."""

from typing import Any
from urllib.parse import quote

import pytest
import zstandard

from tests.api.conftest import Site, problem
from tests.api.test_access import TABLE

pytestmark = pytest.mark.anyio
FIELDS = (
    "user_id", "event_type", "payload", "title", "field", "where", "max_score", "prizes", "starts_at", "url", "name",
    "scopes", "expires_at", "steps", "within_seconds", "from", "to", "user_ids", "reason", "score", "id", "device_id",
    "metadata", "display_name", "plausibility", "timezone", "period", "occurred_at", "signature", "tie_breaks",
)  # fmt: skip
VALUES = (
    "NaN", "1e999", "9" * 5_000, '"\\ud800"', '"\\u0000"', "[" * 500 + "]" * 500, '{"a":1,"a":2}',
    '"9999-12-31T23:59:59.999999+23:59"',
)  # fmt: skip
"""JSON, or what some take for it, in the place of any value."""

BODIES = [
    *(b"{" + b",".join(b'"%b":%b' % (name.encode(), value.encode()) for name in FIELDS) + b"}" for value in VALUES),
    b"[" * 100_000, b"\xff", b"{}{}",
]  # fmt: skip
TEXTS = ("\x00", "../../etc/passwd", "\r\nSet-Cookie: a=b", "9" * 400)
QUERIES = [
    "&".join(
        f"{name}={quote(text)}"
        for name in ("limit", "cursor", "from_rank", "period", "segment", "bucket", "user_id", "from", "to", "interval",
                     "event_type", "timezone", "by", "status", "above", "below", "action", "occurrence")
    )
    for text in TEXTS
]  # fmt: skip


def paths(route: str) -> list[str]:
    """The path of a route with odd texts in each of its places."""
    if "{" not in route:
        return [route]
    parts = route.split("/")
    return ["/".join(quote(text, safe="") if part[:1] == "{" else part for part in parts) for text in TEXTS]


async def ask(site: Site, method: str, path: str, **more: Any) -> None:
    if path.endswith("/live"):
        path = path.removesuffix("/live")
    answer = await site.client.request(method, path, headers=site.headers("admin") | more.pop("headers", {}), **more)
    assert answer.status_code < 500, (method, path[:200], more, answer.text)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
async def test_no_route_stumbles(site: Site, method: str) -> None:
    for found, route in sorted(TABLE):
        if found != method:
            continue
        for path in paths(route):
            await ask(site, method, path)
        path = route.replace("{key}", "odd").replace("{", "").replace("}", "")
        if method in ("POST", "PUT", "PATCH"):
            for body in BODIES:
                await ask(site, method, path, content=body, headers={"Content-Type": "application/json"})
        for query in QUERIES:
            await ask(site, method, f"{path}?{query}")


async def test_a_path_beyond_all_measure(site: Site) -> None:
    problem(await site.get("/api/leaderboards/" + "a" * 60_000), 404, "leaderboard_not_found")
    problem(await site.get("/api" + "/a" * 30_000), 404, "not_found")


async def test_a_cursor_of_another_list_opens_nothing(site: Site) -> None:
    """It is a place in a list, and no right to read one."""
    for number in range(3):
        await site.post("/api/leaderboards/global/scores", {"user_id": f"u{number}", "score": number}, "server")
        await site.put("/api/players/noted", {"display_name": f"n{number}"}, "admin")
    await site.work()
    lists = {"/api/leaderboards/global": "", "/api/audit-log": "", "/api/events": "event_type=game_ended&"}
    asked = [await site.get(f"{path}?{query}limit=1", "admin") for path, query in lists.items()]
    cursors = [cursor for answer in asked if (cursor := answer.json()["next_cursor"]) is not None]
    assert len(cursors) >= 2
    token = await site.token("u1")
    for cursor in (*cursors, cursors[0][::-1], cursors[0] + "A"):
        for path, query in lists.items():
            answer = await site.get(f"{path}?{query}cursor={cursor}", "admin")
            assert answer.status_code in (200, 422), answer.text
            if path != "/api/leaderboards/global":
                assert (await site.get(f"{path}?{query}cursor={cursor}", token)).status_code == 403


async def test_a_window_larger_than_ours_is_refused_and_many_frames_are_one_body(site: Site) -> None:
    """A frame may ask for gigabytes of memory before its first byte is decoded."""
    event = b'{"event_type":"t","user_id":"u"}'
    headers = {"Content-Encoding": "zstd"}
    wide = zstandard.ZstdCompressionParameters(window_log=27, enable_ldm=True)
    compressor = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = compressor.compress(event) + compressor.flush()
    assert zstandard.get_frame_parameters(packed).window_size == 2**27
    problem(await site.post("/api/events", packed, "server", headers=headers), 400, "malformed")
    frames = b"".join(zstandard.compress(piece) for piece in (b"[", event, b",", event, b"]"))
    assert (await site.post("/api/events", frames, "server", headers=headers)).json()["accepted"] == 2
    for odd in ("deflate", "br", "gzip, zstd", "gzip,gzip", "\x00", "compress"):
        answer = await site.post("/api/events", event, "server", headers={"Content-Encoding": odd})
        problem(answer, 415, "unsupported_media_type")
