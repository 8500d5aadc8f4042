"""Health, metrics, the OpenAPI document and its page, and what the app answers when an engine is away."""

import re
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.di import Provide

from grandstand.api.app import CONTROLLERS
from grandstand.api.problems import CODES
from grandstand.api.schema.document import document
from grandstand.domain import errors
from grandstand.domain.errors import UnavailableError
from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio
HIDDEN = ("/schema",)


async def test_health(site: Site) -> None:
    body = (await site.get("/api/health", "server")).json()
    assert (body["status"], body["postgres"], body["valkey"]) == ("ok", "ok", "ok")
    assert body["stream"]["depth"] >= 0
    assert (await site.get("/api/health/live")).json() == {"status": "ok"}
    assert (await site.get("/api/health/ready")).json() == {"status": "ok"}
    pool = (await site.get("/api/health/pool", "admin")).json()
    assert set(pool["pools"]) == {"write", "read"}
    for number in ("total", "idle", "waiting", "max"):
        assert pool[number] == sum(part[number] for part in pool["pools"].values())
    assert pool["waiting"] == 0


async def test_exhausted_connections_are_said_and_other_routes_go_on(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = site.core.database
    lent = [await database.pool.acquire() for _ in range(database.pool.get_max_size())]
    try:
        with monkeypatch.context() as hurried:
            hurried.setattr(database, "_acquire_timeout_seconds", 0.05)
            refused = await site.get("/api/tournaments", "server")
        problem(refused, 503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        use = (await site.get("/api/health/pool", "server")).json()["pools"]["write"]
        assert (use["total"], use["idle"], use["waiting"]) == (use["max"], 0, 0)
        event = {"events": [{"event_type": "level_up", "user_id": "ann"}]}
        assert (await site.post("/api/events", event, "server")).status_code == 202
        shown = (await site.get("/metrics", "server")).text
        assert 'grandstand_pool_connections{pool="write",state="max"}' in shown
        assert 'grandstand_pool_acquire_seconds_count{pool="write"}' in shown
    finally:
        for connection in lent:
            await database.pool.release(connection)
    assert (await site.get("/api/tournaments", "server")).status_code == 200


async def test_who_may_watch(site: Site) -> None:
    for path in ("/api/health", "/api/health/pool", "/metrics"):
        problem(await site.get(path), 401, "unauthorized")
        problem(await site.get(path, "client"), 403, "forbidden")
        assert (await site.get(path, "server")).status_code == 200
        assert (await site.get(path, "admin")).status_code == 200


async def test_an_engine_that_is_away_is_said_to_be(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise UnavailableError("away")

    monkeypatch.setattr(site.core.stream, "depth", away)
    body = (await site.get("/api/health", "server")).json()
    assert (body["status"], body["postgres"], body["valkey"]) == ("degraded", "ok", "unreachable")
    assert body["stream"] == {"depth": None, "lag_seconds": None, "loss": None}
    refused = await site.get("/api/health/ready")
    problem(refused, 503, "unavailable")
    assert refused.headers["retry-after"] == "1"


async def test_a_stream_that_is_away_is_503_and_nothing_taken(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> None:
        raise UnavailableError("away", retry_after=2)

    monkeypatch.setattr(site.core.streams, "append", away)
    answer = await site.post("/api/events", {"event_type": "t", "user_id": "u"}, "server")
    assert problem(answer, 503, "unavailable")["retry_after"] == 2
    assert answer.headers["retry-after"] == "2"


async def test_a_fault_of_ours_tells_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(site.core.streams, "append", broken)
    monkeypatch.setattr(site.services.lister, "list", broken)
    for answer in (
        await site.post("/api/events", {"event_type": "t", "user_id": "u"}, "server"),
        await site.get("/api/leaderboards"),
    ):
        problem(answer, 500, "internal_error")
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text


async def test_a_content_type_names_its_charset_once(site: Site) -> None:
    metrics = await site.get("/metrics", "server")
    assert metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (await site.get("/schema")).headers["content-type"] == "text/html; charset=utf-8"


async def test_the_document_is_served_and_shown(site: Site) -> None:
    served = (await site.get("/schema/openapi.json")).json()
    assert served["openapi"].startswith("3.1")
    page = await site.get("/schema")
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page.text)
    for path, item in served["paths"].items():
        for operation in item.values():
            assert f'id="{operation["operationId"]}"' in page.text, path
    for code in CODES:
        assert f'id="{code}"' in page.text


def test_the_document_names_every_route_and_no_other() -> None:
    stand_ins = {
        "services": Provide(lambda: None, sync_to_thread=False),
        "pages": Provide(lambda: None, sync_to_thread=False),
    }
    app = Litestar(route_handlers=list(CONTROLLERS), dependencies=stand_ins, openapi_config=None)
    routes = {
        (route.path_format.rstrip("/"), method.lower())
        for route in app.routes
        for method in route.methods  # type: ignore[union-attr]
        if method != "OPTIONS" and not route.path.startswith(HIDDEN)
    }
    documented = {(path, method) for path, item in document()["paths"].items() for method in item}
    assert documented == routes


def test_every_request_and_answer_has_an_example() -> None:
    for path, item in document()["paths"].items():
        for method, operation in item.items():
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            bodies += [answer for answer in operation["responses"].values() if "content" in answer]
            for body in bodies:
                for content in body["content"].values():
                    assert content["examples"], (path, method)


def test_every_code_is_documented() -> None:
    source = Path(errors.__file__).parent.parent
    raised = {
        match
        for file in source.rglob("*.py")
        for match in re.findall(r'(?:NotFoundError|ConflictError|TooLargeError)\(\s*"([a-z_]+)"', file.read_text())
    }
    raised |= {error.code for error in errors.GrandstandError.__subclasses__() if "code" in error.__dict__}
    assert raised <= CODES.keys()
