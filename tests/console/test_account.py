"""What operators change of themselves: a code counts only once one was typed, a guess counts as a log-in, and nobody
but who knows the password makes an open session their own.
"""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
import pyotp
import pytest

from grandstand.storage.audit import AuditFilter
from tests.console.door import PASSWORD, Door, token_of

pytestmark = pytest.mark.anyio

ACCOUNT = "/console/account"
OTHER = "a horse of another colour"


@asynccontextmanager
async def session_of(
    door: Door, name: str, password: str = PASSWORD, code: str = ""
) -> AsyncIterator[httpx.AsyncClient]:
    """A session that begins now, whose client has an address of its own."""
    answer = await door.log_in(name, password, code)
    assert answer.status_code == 303, answer.text
    async with door.client(answer.cookies["gs_console"]) as client:
        yield client


async def send(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await client.post(ACCOUNT + path, data={**fields, "form_token": await token_of(client)})


async def begin(client: httpx.AsyncClient) -> tuple[str, pyotp.TOTP]:
    """The mark of a set-up and what an authenticator makes of its secret."""
    shown = (await client.get(ACCOUNT + "/code")).text
    mark, secret = re.search(r'name="set_up" value="([^"]+)"', shown), re.search(r">([A-Z2-7]{32})<", shown)
    assert mark is not None
    assert secret is not None
    return mark[1], pyotp.TOTP(secret[1])


def next_of(totp: pyotp.TOTP) -> str:
    """The code that comes next, which is taken already: each counts once, and no test waits for the clock."""
    return totp.at(time.time() + totp.interval)


async def turn_on(client: httpx.AsyncClient) -> tuple[pyotp.TOTP, str]:
    """Set a code up; return its secret, and the code that was typed for it."""
    mark, totp = await begin(client)
    code = totp.now()
    done = await send(client, "/code", set_up=mark, current_password=PASSWORD, code=f"{code[:3]} {code[3:]}")
    assert done.headers["location"] == f"{ACCOUNT}?note=totp-on"
    return totp, code


async def test_a_code_is_in_force_once_one_was_typed(door: Door) -> None:
    await door.operators.add("coder", "viewer", PASSWORD)
    async with session_of(door, "coder") as client:
        mark, first = await begin(client)
        picture = await client.get(ACCOUNT + "/code.svg", params={"set_up": mark})
        assert picture.headers["content-type"] == "image/svg+xml"
        assert "no-store" in picture.headers["cache-control"]
        for odd in ("", "%00", "%ff", "%ed%a0%80", "9" * 5_000):
            assert (await client.get(f"{ACCOUNT}/code.svg?set_up={odd}")).status_code in (200, 422), odd
        wrong = await send(client, "/code", set_up=mark, current_password=PASSWORD, code=first.at(0))
        assert wrong.status_code == 422
        assert first.secret in wrong.text, "who mistyped goes on with the same secret"
        assert "Set up a code" in (await client.get(ACCOUNT)).text
        totp, code = await turn_on(client)
        assert (await client.get(ACCOUNT + "/code")).headers["location"] == ACCOUNT
        for page in ("", "/code-off"):
            assert totp.secret not in (await client.get(ACCOUNT + page)).text
        again = await send(client, "/code", set_up=mark, current_password=PASSWORD, code=first.now())
        assert "turn it off first" in again.text
    assert (await door.log_in("coder", code=code)).status_code == 401, "the code that proved it is used up"


async def test_a_set_up_is_of_its_session(door: Door) -> None:
    await door.operators.add("marked", "viewer", PASSWORD)
    async with session_of(door, "marked") as client:
        mark, totp = await begin(client)
    async with session_of(door, "marked") as client:
        refused = await send(client, "/code", set_up=mark, current_password=PASSWORD, code=totp.now())
        assert refused.status_code == 422
        assert totp.secret not in refused.text


async def test_a_code_is_turned_off_with_password_and_code(door: Door) -> None:
    await door.operators.add("dropper", "live-ops", PASSWORD)
    async with session_of(door, "dropper") as client:
        totp, used = await turn_on(client)
        for fields in (
            {"current_password": OTHER, "code": next_of(totp)},
            {"current_password": PASSWORD, "code": used},
        ):
            assert (await send(client, "/code-off", **fields)).status_code == 422
        done = await send(client, "/code-off", current_password=PASSWORD, code=next_of(totp))
        assert done.headers["location"] == f"{ACCOUNT}?note=totp-off"
    assert (await door.log_in("dropper", address="10.2.2.2")).status_code == 429, "each of these was counted"


async def test_an_admin_only_takes_a_code_away(door: Door) -> None:
    await door.operators.add("lost", "viewer", PASSWORD)
    async with session_of(door, "lost") as client, await door.enter("ann") as admin:
        token = {"form_token": await token_of(admin)}
        assert (await admin.post("/console/operators/lost/totp", data=token)).status_code == 404
        await turn_on(client)
        assert (await door.log_in("lost")).status_code == 401
        assert (await admin.post("/console/operators/lost/totp-off", data=token)).status_code == 303
        assert (await door.log_in("lost")).status_code == 303


async def test_another_password_ends_the_other_sessions_only(door: Door) -> None:
    await door.operators.add("changer", "viewer", PASSWORD)
    async with session_of(door, "changer") as client, session_of(door, "changer") as elsewhere:
        fields = {"current_password": PASSWORD, "password": OTHER, "password_again": OTHER}
        assert (await send(client, "/password", **fields)).status_code == 303
        assert (await elsewhere.get("/console")).status_code == 303
        assert (await client.get(ACCOUNT)).status_code == 200
    assert (await door.log_in("changer")).status_code == 401
    assert (await door.log_in("changer", OTHER)).status_code == 303


async def test_sessions_are_seen_and_the_others_ended(door: Door) -> None:
    await door.operators.add("ender", "viewer", PASSWORD)
    async with session_of(door, "ender") as client, session_of(door, "ender") as elsewhere:
        shown = (await client.get(ACCOUNT)).text
        assert (shown.count(">this one</span>"), shown.count(">another</span>")) == (1, 1)
        assert (await send(client, "/end-sessions")).status_code == 303
        assert (await elsewhere.get("/console")).status_code == 303
        shown = (await client.get(ACCOUNT)).text
        assert (shown.count(">this one</span>"), shown.count(">another</span>")) == (1, 0)


async def test_what_is_changed_is_written_down_without_secrets(door: Door) -> None:
    await door.operators.add("noted", "viewer", PASSWORD)
    async with session_of(door, "noted") as client:
        totp, code = await turn_on(client)
        await send(client, "/code-off", current_password=PASSWORD, code=next_of(totp))
        await send(client, "/password", current_password=PASSWORD, password=OTHER, password_again=OTHER)
        await send(client, "/end-sessions")
    found = await door.console.api.audit.list(AuditFilter(actor="operator:noted"))
    assert [entry.action for entry in found.entries] == [
        "operator.end_sessions", "operator.password", "operator.totp", "operator.totp", "operator.log_in",
    ]  # fmt: skip
    kept = msgspec.json.encode(found).decode()
    assert not any(secret in kept for secret in (PASSWORD, OTHER, totp.secret, code))


async def test_guesses_at_an_open_session_are_counted_as_log_ins(door: Door) -> None:
    await door.operators.add("guessed", "admin", PASSWORD)
    async with session_of(door, "guessed") as client:
        # The log-in was the first of five.
        fields = {"password": OTHER, "password_again": OTHER}
        statuses = [
            (await send(client, "/password", current_password=f"guess {number}", **fields)).status_code
            for number in range(4)
        ]
        assert statuses == [422] * 4
        mark, totp = await begin(client)
        for path in ("/password", "/code", "/code-off"):
            answer = await send(client, path, set_up=mark, current_password=PASSWORD, code=totp.now(), **fields)
            assert answer.status_code == 429, path
            assert "try again in" in answer.text
    assert (await door.log_in("guessed")).status_code == 429
