"""Signed events over HTTP: keys come with sessions, forgeries are refused, what is repeated counts once."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from grandstand.api.app import build_app
from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "signed-events.md"


@pytest.fixture(scope="module")
def example() -> dict[str, Callable[..., Any]]:
    """The client of the documentation: nothing of the server's code."""
    (source,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)
    return names


async def session_of(site: Site, user_id: str) -> dict[str, str]:
    answer = await site.post("/api/players/sessions", {"user_id": user_id}, "server")
    assert answer.status_code == 201
    found: dict[str, str] = answer.json()
    assert found["signing_key"].startswith("gs_sign_")
    return found


@pytest.fixture
async def board(site: Site) -> Site:
    await site.delete("/api/leaderboards/signed")
    definition = {
        "event_type": "game_ended", "operator": "sum", "field": "score", "plausibility": {"signed": True},
    }  # fmt: skip
    assert (await site.put("/api/leaderboards/signed", definition)).status_code == 201
    await site.core.refresh()
    return site


async def score_of(site: Site, user_id: str) -> int | None:
    answer = await site.get(f"/api/leaderboards/signed/users/{user_id}", "server")
    return answer.json().get("score")


def forgeries(body: bytes) -> Iterator[dict[str, Any]]:
    """What somebody on the way might make of a signed event."""
    document = json.loads(body)
    later = datetime.fromisoformat(document["occurred_at"]) + timedelta(microseconds=1)
    yield document | {"payload": {"score": 999}}
    yield document | {"id": str(uuid4())}
    yield document | {"event_type": "purchase"}
    yield document | {"occurred_at": later.isoformat()}
    yield document | {"signature": "0" * 64}
    yield {name: value for name, value in document.items() if name != "id"}
    yield {name: value for name, value in document.items() if name != "occurred_at"}
    yield {name: value for name, value in document.items() if name != "payload"}


async def test_the_example_signs_what_is_taken_and_a_repetition_counts_once(
    board: Site, example: dict[str, Callable[..., Any]]
) -> None:
    user_id = f"ann-{uuid4().hex}"
    session = await session_of(board, user_id)
    body = example["sign"](example["new_event"](user_id, 7), session["signing_key"])
    for _ in range(3):
        answer = await board.post("/api/events", body, session["token"])
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1), answer.text
    for forged in forgeries(body):
        refusal = problem(await board.post("/api/events", forged, session["token"]), 422, "invalid")
        assert [each["code"] for each in refusal["rejected"]] == ["signature_invalid"], forged
    await board.work()
    assert await score_of(board, user_id) == 7


async def test_a_key_is_of_one_session_and_outlives_a_renewal(
    board: Site, example: dict[str, Callable[..., Any]]
) -> None:
    user_id = f"bob-{uuid4().hex}"
    first, second = await session_of(board, user_id), await session_of(board, user_id)
    assert first["signing_key"] != second["signing_key"]
    body = example["sign"](example["new_event"](user_id, 3), first["signing_key"])
    problem(await board.post("/api/events", body, second["token"]), 422, "invalid")
    renewed = (await board.post("/api/players/sessions/refresh", b"", first["token"])).json()
    assert renewed["signing_key"] == first["signing_key"]
    assert (await board.post("/api/events", body, renewed["token"])).status_code == 202
    assert (await board.delete(f"/api/players/{user_id}/sessions")).status_code == 204
    problem(await board.post("/api/events", body, renewed["token"]), 401, "unauthorized")


async def test_a_board_that_insists_quarantines_what_is_not_signed(
    board: Site, example: dict[str, Callable[..., Any]]
) -> None:
    user_id = f"cid-{uuid4().hex}"
    session = await session_of(board, user_id)
    plain = example["new_event"](user_id, 5)
    batch = b"[" + example["sign"](example["new_event"](user_id, 2), session["signing_key"]) + b"]"
    assert (await board.post("/api/events", plain, session["token"])).status_code == 202
    assert (await board.post("/api/events", batch, session["token"])).status_code == 202
    # A game server's key is proof enough, whatever stands in its `signature`.
    own = example["new_event"](user_id, 10) | {"signature": "0" * 64}
    assert (await board.post("/api/events", own, "server")).status_code == 202
    await board.work()
    assert await score_of(board, user_id) == 12
    listed = (await board.get(f"/api/quarantine?user_id={user_id}", "server")).json()["quarantine"]
    assert [(row["event_id"], row["reason"]) for row in listed] == [(plain["id"], "unsigned")]
    assert (await board.post(f"/api/quarantine/{listed[0]['id']}/release", {}, "server")).status_code == 200
    assert await score_of(board, user_id) == 17


async def test_a_deployment_may_insist(site: Site, example: dict[str, Callable[..., Any]]) -> None:
    settings = site.services.settings.model_copy(update={"signed_events_required": True})
    app = build_app(replace(site.services, settings=settings))
    user_id = f"dan-{uuid4().hex}"
    session = await session_of(site, user_id)
    plain = example["new_event"](user_id, 5)
    signed = json.loads(example["sign"](example["new_event"](user_id, 6), session["signing_key"]))
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://grandstand") as client:
        strict = replace(site, client=client)
        refusal = problem(await strict.post("/api/events", plain, session["token"]), 422, "invalid")
        assert [each["code"] for each in refusal["rejected"]] == ["signature_missing"]
        assert (await strict.post("/api/events", plain, "server")).status_code == 202
        mixed = (await strict.post("/api/events", [plain, signed], session["token"])).json()
        assert mixed["accepted"] == 1
        assert [(each["index"], each["code"]) for each in mixed["rejected"]] == [(0, "signature_missing")]
