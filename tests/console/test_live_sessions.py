"""Streams of the console end with the session that they are for, whoever ended it and in whichever process."""

import asyncio
import re
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from grandstand.operations.manage_operators import OperatorManager
from tests.console.conftest import Console
from tests.console.door import PASSWORD
from tests.support.listeners import LiveClient

pytestmark = pytest.mark.anyio
STREAMS = ("/console/live", "/console/leaderboards/global/live", "/console/tournaments/watched/live")


async def test_streams_end_with_their_session(console: Console) -> None:
    cup = {"id": "watched", "event_type": "none", "operator": "count"}
    console.api(
        "POST", "/api/tournaments", cup | {"starts_at": "2099-01-01T10:00:00Z", "ends_at": "2099-01-01T12:00:00Z"}
    )
    console.manage(_add)
    cookies = {name: console.log_in(name).cookies["gs_console"] for name in ("leaves", "sent-out", "moved", "stays")}
    async with AsyncExitStack() as stack:
        ends = {}
        for name, cookie in cookies.items():
            for path in STREAMS:
                opened = await stack.enter_async_context(
                    LiveClient(console.url + path, {"Cookie": f"gs_console={cookie}"})
                )
                assert opened.status == 200, path
                blocks = opened.blocks()
                await anext(blocks)
                ends[name, path] = asyncio.create_task(_end(blocks))
        headers = {"Cookie": f"gs_console={cookies['leaves']}"}
        async with httpx.AsyncClient(base_url=console.url, headers=headers, timeout=30) as client:
            token = re.search(r'name="form_token" value="(\w+)"', (await client.get("/console")).text)
            assert token is not None
            assert (await client.post("/console/log-out", data={"form_token": token[1]})).status_code == 303
        # Not in the server's own process: it has to look.
        await asyncio.to_thread(console.manage, _change)
        over = [end for (name, _), end in ends.items() if name != "stays"]
        await asyncio.wait_for(asyncio.gather(*over), 20)
        staying = [end for (name, _), end in ends.items() if name == "stays"]
        assert not any(end.done() for end in staying)
        for end in staying:
            end.cancel()
    for name in ("leaves", "sent-out"):
        answer = httpx.get(f"{console.url}/console/live", headers={"Cookie": f"gs_console={cookies[name]}"}, timeout=30)
        assert answer.status_code == 401


async def _end(blocks: Any) -> None:
    async for _ in blocks:
        pass


async def _add(operators: OperatorManager) -> None:
    for name in ("leaves", "sent-out", "moved", "stays"):
        await operators.add(name, "admin", PASSWORD)


async def _change(operators: OperatorManager) -> None:
    await operators.end_sessions("sent-out")
    await operators.set_role("moved", "viewer")
