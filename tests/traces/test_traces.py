"""Traces of a whole `grandstand up`, as a receiver of OTLP gets them."""

import json
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

import httpx
import pytest

from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually
from tests.traces.receiver import Receiver, Span, receiving

QUEUE_SPANS = 128
SECRETS = (b"secret-user", b"secret-payload", b"gs_server_", b"gs_admin_")


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture(scope="module")
def server(receiver: Receiver) -> Iterator[Server]:
    parent = Path(tempfile.mkdtemp(prefix="grandstand-traces-"))
    environment = {
        "GRANDSTAND_TRACES_ENABLED": "true",
        "GRANDSTAND_LOG_FORMAT": "json",
        "GRANDSTAND_TOURNAMENT_GRACE_SECONDS": "0",
        "GRANDSTAND_TOURNAMENT_SLACK_SECONDS": "0",
        "GRANDSTAND_WEBHOOK_ALLOW_PRIVATE": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BSP_MAX_QUEUE_SIZE": str(QUEUE_SPANS),
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
    }
    server = start_up(parent / "data", "--workers", "1", environment=environment)
    try:
        yield server
    finally:
        end(server)
        shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {server.keys.server}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=20) as client:
        yield client


def event(**more: object) -> dict[str, object]:
    return {
        "user_id": "secret-user", "event_type": "game_ended", "payload": {"score": 7, "note": "secret-payload"}, **more,
    }  # fmt: skip


def post(client: httpx.Client, *events: dict[str, object]) -> tuple[str, str]:
    """Send events as a client that traces does; return the ids of its trace and span."""
    trace_id, span_id = uuid4().hex, uuid4().hex[:16]
    headers = {"traceparent": f"00-{trace_id}-{span_id}-01"}
    reply = client.post("/api/events", json={"events": list(events) or [event()]}, headers=headers)
    assert reply.status_code == 202
    return trace_id, span_id


def test_a_page_from_memory_has_its_span(server: Server, receiver: Receiver) -> None:
    ids = [uuid4().hex for _ in range(3)]
    with httpx.Client(base_url=server.url) as anybody:
        for trace_id in ids:
            headers = {"traceparent": f"00-{trace_id}-{uuid4().hex[:16]}-01"}
            assert anybody.get("/api/leaderboards/global", headers=headers).status_code == 200
    eventually(lambda: all("GET /api/leaderboards/{key}" in receiver.of(trace_id) for trace_id in ids))


def test_one_trace_shows_an_event_from_its_request_to_its_rank(client: httpx.Client, receiver: Receiver) -> None:
    trace_id, client_span = post(client)
    # A span is sent when it has ended, and these two end last, each in its process.
    eventually(lambda: {"apply", "POST /api/events"} <= receiver.of(trace_id).keys())
    spans = receiver.of(trace_id)

    by_id = {span.span_id: span.name for span in spans.values()}
    assert {name: by_id.get(span.parent_id, span.parent_id) for name, span in spans.items()} == {
        "POST /api/events": client_span,
        "validate": "POST /api/events",
        "append": "POST /api/events",
        "deliver": "append",
        "apply": "append",
        "known ids": "apply",
        "copy": "apply",
        "fold": "apply",
        "commit": "apply",
        "publish": "apply",
    }
    assert {span.role for name, span in spans.items() if name in ("POST /api/events", "append")} == {"ingest+api"}
    assert {span.role for name, span in spans.items() if name in ("deliver", "apply", "publish")} == {"worker"}
    order = ["validate", "append", "apply", "known ids", "copy", "fold", "commit", "publish"]
    assert sorted(order, key=lambda name: spans[name].began) == order
    assert spans["deliver"].ended <= spans["apply"].ended
    assert spans["POST /api/events"].attributes == {
        "http.request.method": "POST", "http.route": "/api/events", "http.response.status_code": 202,
    }  # fmt: skip
    assert spans["apply"].attributes == {"grandstand.events": 1, "grandstand.requests": 1}
    assert spans["publish"].service == "grandstand"


def test_a_batch_is_linked_to_every_request_in_it_and_each_of_them_to_the_batch(
    server: Server, client: httpx.Client, receiver: Receiver
) -> None:
    (worker,) = server.named("--role worker")
    worker.suspend()
    try:
        with ThreadPoolExecutor(4) as pool:
            sent = list(pool.map(lambda number: post(client, event(score=number))[0], range(8)))
    finally:
        worker.resume()
    eventually(lambda: all("deliver" in receiver.of(trace_id) for trace_id in sent))
    eventually(lambda: {linked for span in receiver.named("apply") for linked, _ in span.links} >= set(sent))
    batches = {span.span_id: span for span in receiver.named("apply")}
    for trace_id in sent:
        ((_, batch),) = receiver.of(trace_id)["deliver"].links
        assert trace_id in {linked for linked, _ in batches[batch].links}
    assert max(len(batches[receiver.of(trace_id)["deliver"].links[0][1]].links) for trace_id in sent) > 1


def test_a_read_is_traced_by_its_route_and_a_header_that_is_none_begins_a_trace(
    client: httpx.Client, receiver: Receiver
) -> None:
    post(client)
    path, name = "/api/leaderboards/global/users/secret-user", "GET /api/leaderboards/{key}/users/{user_id}"
    eventually(lambda: client.get(path).status_code == 200)
    for header in ("00-" + "0" * 32 + "-" + "0" * 16 + "-01", "nonsense", "00-\xff", "x" * 5000, ""):
        seen = len(receiver.named(name))
        assert client.get(path, headers={"traceparent": header.encode("latin-1")}).status_code == 200
        span = eventually(lambda seen=seen: receiver.named(name)[seen:])[0]
        assert span.parent_id == ""
    assert client.request("PROPFIND", "/secret-user").status_code in (404, 405)
    (refused,) = eventually(lambda: receiver.named("_OTHER unknown"))
    assert not refused.is_error


def counted_stages(client: httpx.Client) -> dict[str, float]:
    """How often each stage has run in the tree."""
    shown = re.findall(
        r'^grandstand_stage_seconds_count{stage="(\w+)"} (\S+)$', client.get("/metrics").text, re.MULTILINE
    )
    return {stage: float(count) for stage, count in shown}


def test_a_settlement_and_its_webhooks_are_traced_logged_and_counted_with_all_stages_before(
    server: Server, client: httpx.Client, receiver: Receiver
) -> None:
    hook = {"url": f"{receiver.endpoint}/secret-payload", "event_types": ["tournament.settled"]}
    as_admin = {"Authorization": f"Bearer {server.keys.admin}"}
    assert client.post("/api/webhooks", json=hook, headers=as_admin).status_code == 201
    now = datetime.now(UTC)
    cup = {
        "id": "cup", "event_type": "game_ended", "field": "score", "operator": "best",
        "starts_at": (now - timedelta(minutes=1)).isoformat(), "ends_at": (now + timedelta(hours=1)).isoformat(),
        "prizes": [{"from": 1, "kind": "gold", "amount": 1}],
    }  # fmt: skip
    assert client.post("/api/tournaments", json=cup).status_code == 201
    eventually(lambda: client.get("/api/tournaments/cup").json()["status"] == "active")
    assert client.post("/api/tournaments/cup/end").status_code == 200

    (settled,) = eventually(lambda: receiver.named("settle tournament"), 30)
    assert settled.parent_id == ""
    assert settled.role == "scheduler"
    assert {"standings", "prizes", "commit"} <= set(receiver.of(settled.trace_id))
    (told,) = [json.loads(line) for line in server.log.splitlines() if '"tournament_settled"' in line]
    assert (told["trace_id"], told["tournament"]) == (settled.trace_id, "cup")
    delivered: list[Span] = eventually(lambda: receiver.named("deliver webhook"), 20)
    assert delivered[0].attributes["grandstand.attempt"] == 1

    post(client)
    ran = {"append", "deliver", "apply", "publish", "rollup", "settle", "webhook"}
    eventually(lambda: ran <= {stage for stage, count in counted_stages(client).items() if count}, 20)


def test_nothing_that_was_sent_is_in_what_is_told(client: httpx.Client, receiver: Receiver) -> None:
    trace_id, _ = post(client)
    eventually(lambda: "publish" in receiver.of(trace_id))
    assert not [secret for secret in SECRETS for body in receiver.bodies if secret in body]
    assert any(b"deployment.environment.name" in body for body in receiver.bodies)


def test_a_receiver_that_hangs_neither_slows_nor_fails_a_request(client: httpx.Client, receiver: Receiver) -> None:
    def usual_seconds(count: int) -> float:
        """Of so many: most of them, where whatever waits for the receiver waits in most."""
        taken = []
        for _ in range(count):
            began = time.perf_counter()
            post(client)
            taken.append(time.perf_counter() - began)
        return median(taken)

    usual_seconds(50)
    usual = usual_seconds(200)
    receiver.delay_seconds = 3600.0
    try:
        # Each has three spans and more: far more than wait at most.
        hanging = usual_seconds(2 * QUEUE_SPANS)
    finally:
        receiver.delay_seconds = 0.0
        receiver.let_go()
    assert hanging < 3 * usual + 0.01

    def arrives() -> bool:
        trace_id, _ = post(client)
        return bool(eventually(lambda: receiver.of(trace_id), 1.0))

    eventually(arrives, 30, "spans arrive again")
