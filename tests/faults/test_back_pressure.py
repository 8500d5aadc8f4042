"""What waits in the stream is limited: beyond that nothing is taken, and what was taken is there exactly once."""

import subprocess
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.faults.conftest import Processes
from tests.faults.load import define_ticks, depth
from tests.importing.conftest import environment, run_import
from tests.support.waiting import eventually

__all__ = ["environment", "run_import"]


def tick(user_id: str, text: str = "") -> dict[str, Any]:
    return {"event_type": "tick", "user_id": user_id, "id": str(uuid4()), "payload": {"text": text}}


def counted(client: httpx.Client) -> dict[str, int]:
    page = client.get("/api/leaderboards/ticks", params={"limit": 1000}).raise_for_status().json()
    return {entry["user_id"]: entry["score"] for entry in page["entries"]}


def check_full(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] == "unavailable"
    assert int(answer.headers["retry-after"]) == answer.json()["retry_after"] >= 1


@pytest.mark.parametrize(
    "limit", [{"stream_max_events": 95}, {"stream_max_bytes": 30_000}, {"stream_max_age_seconds": 1}], ids=str
)
def test_a_full_stream_takes_nothing_until_workers_have_made_room(processes: Processes, limit: dict[str, int]) -> None:
    processes.start("ingest", "api", **limit)
    with processes.client() as client:
        define_ticks(client)
        taken: list[dict[str, Any]] = []

        def fill() -> httpx.Response | None:
            batch = [tick(f"u{number}", "x" * 80) for number in range(10)]
            answer = client.post("/api/events", json=batch)
            if answer.status_code == 202:
                taken.extend(batch)
                return None
            refused.extend(batch)
            return answer

        refused: list[dict[str, Any]] = []
        answer = eventually(fill, 20, "the stream is full")
        check_full(answer)
        assert len(taken) >= 10
        assert depth(client) == len(taken), "of a refused batch nothing is taken"
        # Larger than what was refused, whatever compression makes of it.
        check_full(client.post("/api/events", json=[*taken[:1], *refused]))

        processes.start("worker")
        eventually(lambda: depth(client) == 0, 30, "the stream is drained")
        assert client.post("/api/events", json=refused).status_code == 202, "the door opens by itself"
        # Of the limits one is how long something waits, which is for the worker to say.
        eventually(lambda: depth(client) == 0, 30)
        assert client.post("/api/events", json=refused).status_code == 202
        eventually(lambda: depth(client) == 0, 30)
        assert sum(counted(client).values()) == len(taken) + len(refused)


def test_one_request_that_is_larger_than_the_limit_is_taken_when_nothing_waits(processes: Processes) -> None:
    processes.start("ingest", "api", stream_max_events=5)
    with processes.client() as client:
        assert client.post("/api/events", json=[tick("ann")] * 20).status_code == 202
        check_full(client.post("/api/events", json=tick("ann")))


def test_an_import_waits_for_room(processes: Processes, run_import: Any, tmp_path: Path) -> None:
    """The route holds a body back while the stream is full; the command goes on whatever happens."""
    processes.start("ingest", "api", stream_max_events=2500)
    lines = [f'{{"event_type":"tick","user_id":"u{n % 40}","id":"{uuid4()}"}}' for n in range(8000)]
    with processes.client() as client:
        define_ticks(client)
        results: list[httpx.Response] = []
        body = "\n".join(lines[:4000]).encode()
        sending = threading.Thread(target=lambda: results.append(client.post("/api/events/import", content=body)))
        sending.start()
        eventually(lambda: depth(client) == 2000, 20, "the stream takes no further bundle")
        worker = processes.start("worker")
        sending.join(60)
        assert [(answer.status_code, answer.json()["accepted"]) for answer in results] == [(200, 4000)]

        eventually(lambda: depth(client) == 0, 30)
        worker.terminate()
        worker.wait(20)
        (tmp_path / "rest.ndjson").write_text("\n".join(lines[4000:]))
        outcome: list[subprocess.CompletedProcess[str]] = []
        importing = threading.Thread(
            target=lambda: outcome.append(
                run_import(
                    tmp_path / "rest.ndjson", "--url", processes.url, GRANDSTAND_SERVER_KEY=processes.keys.server
                )
            )
        )
        importing.start()
        eventually(lambda: depth(client) == 2000, 30, "the stream takes no further bundle")
        processes.start("worker")
        importing.join(60)
        assert outcome[0].returncode == 0, outcome[0].stderr
        eventually(lambda: depth(client) == 0, 30)
        assert sum(counted(client).values()) == 8000
