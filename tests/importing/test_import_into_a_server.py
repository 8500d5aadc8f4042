"""Imports into a whole Grandstand: what it refuses and why, lines without ids, and a server that dies midway."""

import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.importing.conftest import Run
from tests.support.proxy import open_proxy
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually, eventually_async


def client_of(server: Server) -> httpx.Client:
    headers = {"Authorization": f"Bearer {server.keys.server}"}
    return httpx.Client(base_url=server.url, headers=headers, trust_env=False, timeout=30)


@pytest.fixture
def client(running_server: Server) -> Iterator[httpx.Client]:
    with client_of(running_server) as client:
        yield client


@pytest.fixture
def run_here(run_import: Run, running_server: Server) -> Run:
    """Run an import into this module's server."""

    def run(*arguments: str | Path, **options: Any) -> "subprocess.CompletedProcess[str]":
        key = running_server.keys.server
        return run_import(*arguments, "--url", running_server.url, GRANDSTAND_SERVER_KEY=key, **options)

    return run


def board(client: httpx.Client, key: str) -> dict[str, int]:
    """Return user → score once every event is processed."""
    eventually(lambda: client.get("/api/health").json()["stream"]["depth"] == 0, 30, "every event is processed")
    page = client.get(f"/api/leaderboards/{key}", params={"limit": 1000}).raise_for_status().json()
    return {entry["user_id"]: entry["score"] for entry in page["entries"]}


def define(client: httpx.Client, key: str, **definition: Any) -> None:
    client.put(f"/api/leaderboards/{key}", json={"event_type": key, **definition}).raise_for_status()


def test_bad_lines_are_refused_by_reason_and_the_good_ones_are_taken(
    run_here: Run, client: httpx.Client, tmp_path: Path
) -> None:
    define(client, "mixed", field="v", operator="best")
    lines = [
        b'{"event_type":"mixed","user_id":"first","payload":{"v":1}}',
        b"nonsense",
        b'{"event_type":"no spaces","user_id":"a"}',
        b'{"event_type":"mixed"}',
        b'{"event_type":"mixed","user_id":"' + b"u" * 256 + b'"}',
        b'{"event_type":"mixed","user_id":"\xff"}',
        b'{"event_type":"mixed","user_id":"a","payload":{"v":"' + b"x" * 16_400 + b'"}}',
        b'{"event_type":"mixed","user_id":"a","payload":{"v":9007199254740992}}',
        b'{"event_type":"mixed","user_id":"a","payload":[1]}',
        b"z" * 1_100_000,
        b'{"event_type":"mixed","user_id":"a","id":"none"}',
        b'{"event_type":"mixed","user_id":"old","payload":{"v":2},"occurred_at":"1969-07-20T20:17:40Z"}',
        b'{"event_type":"mixed","user_id":"last","payload":{"v":3}}',
    ]
    path = tmp_path / "mixed.ndjson"
    path.write_bytes(b"\n".join(lines))
    done = run_here(path)
    assert done.returncode == 1
    assert "taken    3\n  refused  10\n" in done.stdout
    for code, line in {
        "invalid_event": 2,
        "invalid_event_type": 3,
        "invalid_user_id": 4,
        "payload_too_large": 7,
        "score_out_of_range": 8,
        "invalid_payload": 9,
        "line_too_long": 10,
        "invalid_id": 11,
    }.items():
        assert f"refused as {code}\n    line {line}: " in done.stdout, done.stdout
    assert board(client, "mixed") == {"first": 1, "old": 2, "last": 3}


def test_lines_without_ids_count_once_however_often_they_come(
    run_here: Run, client: httpx.Client, tmp_path: Path
) -> None:
    define(client, "nameless", operator="count")
    path = tmp_path / "nameless.ndjson"
    path.write_text('{"event_type":"nameless","user_id":"ada"}\n' * 3 + '{"event_type":"nameless","user_id":"bob"}\n')
    for _ in range(2):
        assert run_here(path).returncode == 0
    assert run_here("-", stdin=path.read_bytes()).returncode == 0
    assert board(client, "nameless") == {"ada": 3, "bob": 1}


def test_csv_with_a_mapping_ranks_players(run_here: Run, client: httpx.Client, tmp_path: Path) -> None:
    define(client, "race", field="time.ms", operator="best", order="asc")
    path = tmp_path / "race.csv"
    path.write_text("player;ms;when\nada;1200;2024-05-01 10:00:00\nbob;1100;1714557600\nada;;\nada;1050;\n")
    arguments = ["--map", "user_id=player", "--map", "payload.time.ms=ms", "--map", "occurred_at=when"]
    done = run_here(path, *arguments, "--set", "event_type=race", "--delimiter", ";")
    assert done.returncode == 0, done.stdout
    assert board(client, "race") == {"ada": 1050, "bob": 1100}


def test_a_client_key_is_refused(run_import: Run, running_server: Server, tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    path.write_text('{"event_type":"t","user_id":"a"}\n')
    done = run_import(path, "--url", running_server.url, GRANDSTAND_SERVER_KEY=running_server.keys.client)
    assert done.returncode == 4
    assert "refuses the key" in done.stderr


@pytest.fixture
def mortal_server() -> Iterator[Server]:
    """A server that a test may kill."""
    parent = Path(tempfile.mkdtemp(prefix="grandstand-server-"))
    server = start_up(parent / "data")
    yield server
    end(server)
    shutil.rmtree(parent, ignore_errors=True)


@pytest.mark.anyio
async def test_a_server_that_is_killed_midway_loses_nothing_and_doubles_nothing(
    anyio_backend: object, mortal_server: Server, environment: dict[str, str], tmp_path: Path
) -> None:
    """What leads to it passes on a part of the import, so that it is midway whoever looks how late."""
    count = 30_000
    path = tmp_path / "long.ndjson"
    with path.open("w") as file:
        for number in range(count):
            row = {"event_type": "long", "user_id": f"u{number % 100}", "payload": {"v": 1}}
            file.write(json.dumps(row) + "\n")
    port = int(mortal_server.url.rpartition(":")[2])
    async with open_proxy(port) as proxy:
        proxy.hold_after(path.stat().st_size // 2)
        with client_of(mortal_server) as client:
            define(client, "long", field="v", operator="sum")
            environment["GRANDSTAND_SERVER_KEY"] = mortal_server.keys.server
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "grandstand", "import", str(path), "--url", f"http://127.0.0.1:{proxy.port}"),
                env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
            await eventually_async(
                lambda: client.get("/api/leaderboards/long").json()["total"], 30, "some of it is ranked"
            )
        mortal_server.kill_all()
        again = await asyncio.to_thread(start_up, mortal_server.data_dir)
        try:
            proxy.release(int(again.url.rpartition(":")[2]))
            output, errors = await asyncio.wait_for(process.communicate(), 120)
            assert process.returncode == 0, errors.decode()
            assert f"taken    {count:,}" in output.decode()
            with client_of(again) as client:
                assert board(client, "long") == {f"u{number}": count // 100 for number in range(100)}
        finally:
            end(again)
    assert b"trying again" in errors
