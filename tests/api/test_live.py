"""Live boards over a real server: updates on change only, resumed without a repeat, one computation for all."""

import asyncio
import dataclasses
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest

from grandstand.api import live_connection
from grandstand.api.app import build_app
from grandstand.operations import live_boards
from grandstand.operations.live_boards import LiveBoards
from grandstand.telemetry import metrics
from tests.api.conftest import Site, problem, serve
from tests.support.core import event
from tests.support.listeners import LiveClient, Update
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
BOARD = {"event_type": "run", "operator": "best", "field": "score"}
WAIT_SECONDS = 30


@dataclass
class Stage:
    """A server with live boards of its own, and the site behind it."""

    site: Site
    live: LiveBoards
    url: str

    async def board(self, key: str, **values: Any) -> str:
        answer = await self.site.put(f"/api/leaderboards/{key}", BOARD | {"event_type": key} | values)
        assert answer.status_code == 201, answer.text
        return f"{self.url}/api/leaderboards/{key}/live"

    async def score(self, key: str, user: str, score: int, **more: Any) -> None:
        payload = {"score": score} | more
        await self.site.core.apply(event(user, event_type=key, payload=payload))


@pytest.fixture
async def stage(keeping_site: Site) -> AsyncIterator[Stage]:
    async with open_stage(keeping_site) as opened:
        yield opened
    assert metrics.LIVE_LISTENERS._value.get() == 0


@asynccontextmanager
async def open_stage(site: Site) -> AsyncIterator[Stage]:
    boards = LiveBoards(site.core.reader)
    services = dataclasses.replace(site.services, live=boards)
    async with serve(build_app(services), services.settings) as url:
        try:
            yield Stage(site, boards, url)
        finally:
            await boards.close()


async def next_update(updates: AsyncIterator[Update]) -> Update:
    async with asyncio.timeout(WAIT_SECONDS):
        return await anext(updates)


def users(update: Update) -> list[str]:
    return [entry["user_id"] for entry in update.data["entries"]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Updates as often as there are any."""
    monkeypatch.setattr(live_boards, "INTERVAL_SECONDS", 0.02)


async def test_the_state_comes_at_once_and_then_each_change(stage: Stage, quick: None) -> None:
    url = await stage.board("changes")
    async with LiveClient(url) as client:
        assert client.status == 200
        assert client.answer["content-type"].startswith("text/event-stream")
        assert client.answer["cache-control"] == "no-store"
        updates = client.updates()
        assert users(await next_update(updates)) == []
        await stage.score("changes", "ann", 5)
        first = await next_update(updates)
        assert (users(first), first.data["total"], first.data["leaderboard"]) == (["ann"], 1, "changes")
        # Changes nothing, so it is no update: the next one is that of bob.
        await stage.score("changes", "ann", 4)
        await stage.site.hear()
        await stage.score("changes", "bob", 9)
        assert users(await next_update(updates)) == ["bob", "ann"]


async def test_at_most_one_update_a_second(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    url = await stage.board("paced")
    reader, computed = stage.site.core.reader, []
    read = reader.page

    async def noted(*arguments: Any, **more: Any) -> Any:
        computed.append(time.monotonic())
        return await read(*arguments, **more)

    monkeypatch.setattr(reader, "page", noted)
    async with LiveClient(url) as client:
        updates = client.updates()
        seen = [await next_update(updates)]
        score = 0

        async def keep_scoring() -> None:
            nonlocal score
            while True:
                score += 1
                await stage.score("paced", "ann", score)
                await asyncio.sleep(0.02)

        scoring = asyncio.create_task(keep_scoring())
        seen += [await next_update(updates) for _ in range(3)]
        scoring.cancel()
    # When they were made: one that was a while on its way comes soon before the next.
    assert len(computed) >= len(seen)
    assert min(after - before for before, after in pairwise(computed)) > 0.9
    assert score > len(seen)


async def test_a_listener_that_comes_back_gets_nothing_twice(stage: Stage, quick: None) -> None:
    url = await stage.board("resumed")
    await stage.score("resumed", "ann", 1)
    async with LiveClient(url) as client:
        seen = await next_update(client.updates())
    async with LiveClient(url, {"Last-Event-ID": seen.id}) as client:
        await stage.score("resumed", "bob", 2)
        assert users(await next_update(client.updates())) == ["bob", "ann"]
    async with LiveClient(url, {"Last-Event-ID": seen.id}) as client:
        assert users(await next_update(client.updates())) == ["bob", "ann"], "missed meanwhile"


async def test_a_quiet_connection_is_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_connection, "KEEP_ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(live_boards, "SWEEP_SECONDS", 0.02)
    url = await stage.board("quiet")
    async with LiveClient(url) as client:
        blocks = client.blocks()
        async with asyncio.timeout(WAIT_SECONDS):
            first = [await anext(blocks) for _ in range(4)]
    assert first[0].startswith("retry: ")
    assert first[1].startswith("event: update\nid: ")
    assert first[2:] == [": still here", ": still here"]


async def test_parts_and_limits(stage: Stage, quick: None) -> None:
    url = await stage.board("parted", segment_by="country")
    await stage.score("parted", "ann", 5, country="DE")
    await stage.score("parted", "bob", 9, country="FR")
    async with LiveClient(f"{url}?segment=DE&limit=1") as one, LiveClient(f"{url}?limit=1") as whole:
        parts, all_of_it = one.updates(), whole.updates()
        assert users(await next_update(parts)) == ["ann"]
        assert users(await next_update(all_of_it)) == ["bob"]
        await stage.score("parted", "cleo", 7, country="DE")
        update = await next_update(parts)
        assert (users(update), update.data["segment"]) == (["cleo"], "DE")
        await stage.score("parted", "dan", 99, country="FR")
        assert (await next_update(all_of_it)).data["total"] >= 3


async def test_refusals_are_problems(stage: Stage) -> None:
    site = stage.site
    await stage.board("hidden", visibility="private")
    path = "/api/leaderboards/hidden/live"
    problem(await site.get(path), 401, "unauthorized")
    problem(await site.get(path, "client"), 403, "forbidden")
    problem(await site.get(path, await site.token("ann")), 403, "forbidden")
    problem(await site.get("/api/leaderboards/nothing/live"), 404, "leaderboard_not_found")
    problem(await site.get("/api/leaderboards/global/live?period=20200101T000000Z"), 404, "period_not_found")
    for query in ("limit=0", "limit=101", "segment=DE", "bucket=1"):
        body = problem(await site.get(f"/api/leaderboards/global/live?{query}"), 422, "invalid")
        assert [each["path"] for each in body["errors"]] == [query.partition("=")[0]]
    url = f"{stage.url}{path}"
    async with LiveClient(url, site.headers("server")) as client:
        assert client.status == 200
    refused = await site.post("/api/leaderboards/global/live", {}, "server")
    problem(refused, 405, "method_not_allowed")
    head = await site.client.head("/api/leaderboards/global/live")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")


async def test_a_fault_of_ours_is_a_problem_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret detail")

    await stage.board("broken")
    monkeypatch.setattr(stage.site.core.reader, "page", broken)
    answer = await stage.site.get("/api/leaderboards/broken/live")
    problem(answer, 500, "internal_error")
    assert "secret" not in answer.text


async def test_three_hundred_listeners_share_one_computation(stage: Stage, quick: None) -> None:
    url = await stage.board("shared")
    before = metrics.LIVE_READS._value.get()
    clients = [LiveClient(url) for _ in range(300)]
    await asyncio.gather(*(client.__aenter__() for client in clients))
    streams = [client.updates() for client in clients]
    try:
        await asyncio.gather(*(next_update(stream) for stream in streams))
        # One that opened it, and one because what happened before its first look is unknown to it.
        await eventually_async(lambda: metrics.LIVE_READS._value.get() == before + 2)
        await stage.score("shared", "ann", 7)
        found = await asyncio.gather(*(next_update(stream) for stream in streams))
        assert {update.id for update in found} == {found[0].id}
        assert users(found[0]) == ["ann"]
        assert metrics.LIVE_READS._value.get() - before <= 4
    finally:
        await asyncio.gather(*(client.__aexit__() for client in clients))
    await eventually_async(lambda: metrics.LIVE_LISTENERS._value.get() == 0)


async def test_a_listener_that_takes_nothing_is_dropped_and_nobody_waits_for_it(
    stage: Stage, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_connection, "SEND_TIMEOUT_SECONDS", 0.3)
    url = await stage.board("heavy", keep=["text"])
    for number in range(40):
        await stage.score("heavy", f"u{number}", number, text="x" * 16_000)
    dropped = metrics.LIVE_DROPPED._value.get()
    parts = urlsplit(url)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((parts.hostname, parts.port))
        slow.sendall(f"GET {parts.path}?limit=40 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with LiveClient(f"{url}?limit=40") as client:
            updates = client.updates()
            score = 1000
            while metrics.LIVE_DROPPED._value.get() == dropped:
                score += 1
                await stage.score("heavy", "u0", score, text="x" * 16_000)
                while (await next_update(updates)).data["entries"][0]["score"] < score:
                    pass
        assert metrics.LIVE_DROPPED._value.get() == dropped + 1
        # The connection is broken, not closed behind megabytes that nobody takes.
        slow.settimeout(WAIT_SECONDS)
        with pytest.raises(ConnectionResetError):
            await asyncio.to_thread(read_to_the_end, slow)


async def test_a_listener_that_lags_gets_the_newest_state_and_not_what_lies_between(
    stage: Stage, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However long the others take over their updates: who lags is not dropped here.
    monkeypatch.setattr(live_connection, "SEND_TIMEOUT_SECONDS", 3_600.0)
    url = await stage.board("lagging", keep=["text"])
    for number in range(40):
        await stage.score("lagging", f"u{number}", number, text="x" * 16_000)
    parts = urlsplit(url)
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((parts.hostname, parts.port))
        slow.sendall(f"GET {parts.path}?limit=40 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        async with LiveClient(f"{url}?limit=40") as client:
            updates = client.updates()
            for score in range(1001, 1031):
                await stage.score("lagging", "u0", score, text="x" * 16_000)
                while (await next_update(updates)).data["entries"][0]["score"] < score:
                    pass
        slow.settimeout(WAIT_SECONDS)
        taken = await asyncio.to_thread(read_until, slow, b'"score":1030,')
    states = taken.count(b"event: update")
    assert 1 < states < 30


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    taken = b""
    while mark not in taken[-1_000_000:]:
        piece = connection.recv(262_144)
        assert piece
        taken += piece
    return taken


def read_to_the_end(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


async def test_streams_end_at_the_stop(keeping_site: Site) -> None:
    async with open_stage(keeping_site) as stage:
        url = await stage.board("stopped")
        async with LiveClient(url) as client:
            updates = client.updates()
            await next_update(updates)
            await stage.live.close()
            with pytest.raises(StopAsyncIteration):
                await next_update(updates)


@pytest.mark.parametrize("end", ["delete", "hide"])
async def test_streams_end_when_the_board_does_or_is_hidden(stage: Stage, quick: None, end: str) -> None:
    url = await stage.board(f"ends-{end}")
    path = f"/api/leaderboards/ends-{end}"
    async with LiveClient(url) as client:
        updates = client.updates()
        await next_update(updates)
        if end == "delete":
            assert (await stage.site.delete(path)).status_code == 204
        else:
            answer = await stage.site.put(path, BOARD | {"event_type": f"ends-{end}", "visibility": "private"})
            assert answer.status_code == 200
        await stage.score(f"ends-{end}", "ann", 1)
        with pytest.raises(StopAsyncIteration):
            await next_update(updates)


async def test_a_private_stream_ends_with_its_credential(stage: Stage, quick: None) -> None:
    """A stream lasts for hours: a key that is revoked meanwhile sees nothing more, and others go on."""
    url = await stage.board("guarded", visibility="private")
    made = (await stage.site.post("/api/keys", {"kind": "server", "name": "watcher"}, "admin")).json()
    async with (
        LiveClient(url, headers={"Authorization": f"Bearer {made['key']}"}) as client,
        LiveClient(url, headers=stage.site.headers("server")) as other,
    ):
        updates, others = client.updates(), other.updates()
        await next_update(updates)
        await next_update(others)
        assert (await stage.site.delete(f"/api/keys/{made['id']}", "admin")).status_code == 204
        await stage.site.services.authenticator.refresh()
        await stage.score("guarded", "ann", 1)
        with pytest.raises(StopAsyncIteration):
            await next_update(updates)
        assert (await next_update(others)).data["entries"][0]["user_id"] == "ann"


async def test_a_board_that_cannot_be_read_for_a_while_goes_on(
    stage: Stage, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await stage.board("shaken")
    async with LiveClient(url) as client:
        updates = client.updates()
        await next_update(updates)
        calls = 0

        async def broken(*_: Any, **__: Any) -> None:
            nonlocal calls
            calls += 1
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(stage.site.core.reader, "page", broken)
            await stage.score("shaken", "ann", 1)
            await eventually_async(lambda: calls > 1)
        assert users(await next_update(updates)) == ["ann"]
