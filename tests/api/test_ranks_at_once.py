"""Ranks of what a process knows are answered without a task: the same answers, and none that is older than usual."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from grandstand.api import read_at_once
from grandstand.storage.index_reads import IndexReads
from tests.api.conftest import Site
from tests.api.test_over_the_wire import raw
from tests.api.test_post_at_once import LAST, USUAL_WAY, first
from tests.api.test_read_at_once import open_door, read
from tests.api.tournament_steps import HOUR, set_clock
from tests.support.core import NOON

pytestmark = pytest.mark.anyio
BOARD = {"operator": "best", "field": "score"}


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No period ends while its ranks are asked for both ways, nor does the time until its end differ."""
    set_clock(monkeypatch, NOON)


@pytest.fixture
async def door(keeping_site: Site) -> AsyncIterator[str]:
    async with open_door(keeping_site, rate_limit_anonymous_requests=100_000) as (url, _):
        yield url


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reads that were given a task."""
    found: list[str] = []
    run = read_at_once.WholeReads._read

    def noted(self: Any, *arguments: Any) -> Any:
        found.append(arguments[0]["path"])
        return run(self, *arguments)

    monkeypatch.setattr(read_at_once.WholeReads, "_read", noted)
    return found


async def score(site: Site, key: str, **scores: int) -> None:
    events = [
        {"event_type": key, "user_id": user, "payload": {"score": scores[user], "country": "de"}} for user in scores
    ]
    assert (await site.post("/api/events", events, "server")).status_code == 202
    await site.work()
    await site.hear()


async def begin(site: Site, key: str, scores: dict[str, int], **definition: Any) -> str:
    """Make a board with these scores, of which this process has answered a read; return the path of its ranks."""
    board = BOARD | {"event_type": key} | definition
    assert (await site.put(f"/api/leaderboards/{key}", board)).status_code == 201
    await score(site, key, **scores)
    path = f"/api/leaderboards/{key}/users/"
    for user in scores:
        assert (await site.get(path + user, "server")).status_code == 200
    return path


async def ask(door: str, path: str, who: str | None = None, more: bytes = b"") -> tuple[list[bytes], bytes]:
    return first(await raw(door, read(path, who, more) + LAST))


def without_moment(answer: tuple[list[bytes], bytes]) -> tuple[list[bytes], bytes]:
    """Leave out when the answer was read, which is as long in both."""
    head, body = answer
    return head, re.sub(rb'"as_of":"[^"]{20,27}"', b"", body)


async def test_both_ways_give_the_same_answer(keeping_site: Site, door: str, tasks: list[str]) -> None:
    site = keeping_site
    ann, ben = await site.token("ann"), await site.token("ben")
    assert (await site.put("/api/players/ann", {"display_name": "Ann \u00e9"})).status_code == 200
    await site.hear()
    plain = await begin(site, "plain", {"ann": 5, "ben": 3, "a.b~c": 3})
    rich = await begin(
        site, "rich", {"ann": 5, "ben": 3}, keep=["country"], tie_breaks=[{"field": "score"}], order="asc",
        tiers=[{"id": "gold", "top_percent": 50}], period="daily",
    )  # fmt: skip
    secret = await begin(site, "secret", {"ann": 5}, visibility="private")
    cases: list[tuple[str, str | None, bytes, int]] = [
        (plain + "ann", None, b"", 200),
        (plain + "ben", "server", b"", 200),
        (plain + "a.b~c", "client", b"", 200),
        (plain + "ben", ben, b"", 200),
        (plain + "ben", ann, b"", 200),
        (plain + "ben", None, b"If-None-Match: *\r\n", 304),
        (plain + "nobody", None, b"", 404),
        (rich + "ann", None, b"", 200),
        (secret + "ann", "server", b"", 200),
        (secret + "ann", ann, b"", 200),
        (plain + "ann/nearby", None, b"", 200),
        (plain + "ben/nearby?above=0&below=1", "server", b"", 200),
        (plain + "a.b~c/nearby?above=1", ben, b"", 200),
        (plain + "ben/nearby", None, b"If-None-Match: *\r\n", 304),
        (plain + "nobody/nearby", "client", b"", 404),
        (rich + "ben/nearby?below=100", None, b"", 200),
        (secret + "ann/nearby", "server", b"", 200),
    ]
    # Who is named for the first time is looked up, and so is each board once another was made.
    for path in (plain + "nobody", rich + "ann", secret + "ann"):
        await ask(door, path, "server")
    tasks.clear()
    for path, who, more, status in cases:
        at_once = await ask(door, path, who, more)
        assert tasks == [], path
        assert at_once[0][0].startswith(b"HTTP/1.1 %d " % status), (path, at_once)
        usual = await ask(door, path, who, more + USUAL_WAY)
        assert without_moment(at_once) == without_moment(usual), path
    for path, who, status in [
        (plain + "ann", "nonsense", 401), (secret + "ann", ben, 403), (secret + "ann", None, 401),
        (plain + "b%65n", None, 200), (plain + "ann?period=all_time", None, 200), (plain + "ann%00", None, 422),
        (secret + "ann/nearby", ann, 403), (secret + "ann/nearby", None, 401), (plain + "ann%00/nearby", None, 422),
        (plain + "ann/nearby?above=101", None, 422), (plain + "ann/nearby?below=-1", None, 422),
        (plain + "ann/nearby?above=x", None, 422), (plain + "ann/nearby?segment=a&bucket=1", None, 422),
        (rich + "ann/nearby?period=2020-01-01", None, 404),
    ]:  # fmt: skip
        tasks.clear()
        usual = await ask(door, path, who)
        assert len(tasks) == 1, path
        assert usual[0][0].startswith(b"HTTP/1.1 %d " % status), (path, usual)
        assert without_moment(usual) == without_moment(await ask(door, path, who, USUAL_WAY)), path


async def test_what_changes_is_shown(keeping_site: Site, door: str, tasks: list[str]) -> None:
    site = keeping_site
    path = await begin(site, "changing", {"cat": 5, "dan": 3})
    tasks.clear()
    assert b'"rank":2,' in (await ask(door, path + "dan"))[1]
    await score(site, "changing", dan=9)
    assert b'"rank":1,' in (await ask(door, path + "dan"))[1]
    assert b'"user":{"rank":2,' in (await ask(door, path + "cat/nearby"))[1]
    assert tasks == []
    assert (await site.put("/api/players/dan", {"display_name": "Dan"})).status_code == 200
    await site.hear()
    # Of neighbours, too, names that are not in memory are looked up.
    assert (await ask(door, path + "cat/nearby"))[1].count(b'"display_name":"Dan"') == 1
    assert tasks == [path + "cat/nearby"]
    assert (await ask(door, path + "cat/nearby"))[1].count(b'"display_name":"Dan"') == 1
    assert tasks == [path + "cat/nearby"]
    assert b'"display_name":"Dan"' in (await ask(door, path + "dan"))[1]
    assert await site.put("/api/leaderboards/changing", BOARD | {"event_type": "changing", "visibility": "private"})
    await site.hear()
    for each in ("dan", "cat/nearby"):
        assert (await ask(door, path + each))[0][0] == b"HTTP/1.1 401 Unauthorized"


async def test_a_period_that_begins_has_ranks_of_its_own(
    keeping_site: Site, door: str, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await begin(keeping_site, "hours", {"eve": 5}, period="hourly")
    tasks.clear()
    assert b'"rank":1,' in (await ask(door, path + "eve"))[1]
    assert tasks == []
    set_clock(monkeypatch, NOON + HOUR)
    for each in ("eve", "eve/nearby"):
        assert (await ask(door, path + each))[0][0] == b"HTTP/1.1 404 Not Found"


async def test_without_the_index_the_entries_answer(
    keeping_site: Site, door: str, tasks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await begin(keeping_site, "lost", {"fay": 5, "gus": 3})
    expected = await ask(door, path + "gus")
    nearby = await ask(door, path + "gus/nearby")
    for target in await keeping_site.core.index.held():
        await keeping_site.core.index.delete(target)
    tasks.clear()
    # Asked once more, an index on a server that hangs would keep everybody waiting for another time-out.
    monkeypatch.delattr(IndexReads, "place")
    monkeypatch.delattr(IndexReads, "around")
    assert await ask(door, path + "gus") == expected
    assert without_moment(await ask(door, path + "gus/nearby")) == without_moment(nearby)
    assert len(tasks) == 2


async def test_what_nobody_here_has_put_into_the_index_keeps_nobody_waiting(keeping_site: Site, door: str) -> None:
    path = await begin(keeping_site, "spoilt", {"hal": 5, "ian": 3})
    assert b'"rank":2,' in (await ask(door, path + "ian/nearby"))[1]
    ranks, *_ = await keeping_site.core.keys("spoilt")
    valkey = keeping_site.core.valkey
    # As many as before, and one of them is none.
    ((member, score),) = [each for each in await valkey.zrange(ranks, 0, -1, withscores=True) if b"hal" in each[0]]
    await valkey.zrem(ranks, member)
    await valkey.zadd(ranks, {b"no one": score})
    async with asyncio.timeout(20):
        at_once = await ask(door, path + "ian/nearby")
        assert at_once[0][0] == (await ask(door, path + "ian/nearby", None, USUAL_WAY))[0][0]
