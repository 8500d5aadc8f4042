"""What the lab's commands cannot do they say before a run, in a sentence, and nothing that they started stays."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from typer.testing import CliRunner, Result

from grandstand.cli.lab_options import carry_out
from grandstand.cli.main import app
from grandstand.lab.capacity import Kept, Step
from grandstand.lab.report import machine_now
from tests.support.server import is_running
from tests.support.waiting import eventually
from tests.unit.test_lab_capacity import report_of

NOBODY = ["--url", "http://127.0.0.1:9", "--key", "gs_server_x"]


def lab(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["lab", *arguments])


@pytest.mark.parametrize("command", ["run", "capacity"])
@pytest.mark.parametrize("option", ["--json", "--html"])
@pytest.mark.parametrize("place", ["missing/report", "."])
def test_a_file_that_cannot_be_written_is_told_before_the_run(
    tmp_path: Path, command: str, option: str, place: str
) -> None:
    result = lab(command, option, str(tmp_path / place), *NOBODY)
    assert result.exit_code == 2
    assert "cannot be written" in result.stderr


def test_looking_whether_a_file_can_be_written_leaves_it_as_it_is(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.html"
    old.write_text("before")
    assert lab("run", "--json", str(old), "--html", str(new), "--url", "https://x", "--key", "k").exit_code == 2
    assert old.read_text() == "before"
    assert not new.exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1:x", "https://x", "x"])
def test_an_address_that_is_none_is_told_in_a_sentence(url: str) -> None:
    result = lab("run", "--url", url, "--key", "k")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("grandstand: ")


@pytest.mark.parametrize("said", [b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", b"SSH-2.0-x\r\n\r\n"])
def test_another_server_is_told_in_a_sentence(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "grandstand", "lab", "run", "--key", "k"]
        command += ["--url", f"http://127.0.0.1:{listener.getsockname()[1]}"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(said)
                _, stderr = process.communicate(timeout=30)
    assert process.returncode == 2
    assert stderr.splitlines()[-1].startswith("grandstand: GET /api/leaderboards was")


def test_a_step_that_cannot_be_finished_leaves_what_was_measured_before(tmp_path: Path) -> None:
    settings = {
        "url": NOBODY[1], "workers": 2, "http_processes": 1, "seed": 1, "step_seconds": 3.0, "machine": machine_now(),
    }  # fmt: skip
    steps, json_file, html_file = (tmp_path / name for name in ("steps.json", "report.json", "report.html"))
    done = Kept(settings, [Step(players, True, 1.0, report_of(players)) for players in (1_000, 10_000)])
    options = ["--beside-data", "--step-seconds", "3", "--json", str(json_file), "--html", str(html_file)]
    options += ["--steps", str(steps), *NOBODY]
    steps.write_bytes(msgspec.json.encode(done))
    result = lab("capacity", *options)
    assert result.exit_code == 2
    assert "Capacity: at least 10,000 daily players" in result.stdout
    assert re.search(r"10,000 +100.0%  Will struggle \(measured\)", result.stdout)
    said = result.stderr.splitlines()[-1]
    assert said.startswith(
        "grandstand: The step of 20,000 daily players was not finished: The server at 127.0.0.1:9 cannot"
    )
    assert json.loads(json_file.read_bytes())["failure"] == said.removeprefix("grandstand: ")
    assert "The step of 20,000 daily players" in html_file.read_text()


def report(**changes: Any) -> dict[str, Any]:
    return {"load": {"daily_players": 1_000, "profile": "peak"}, "events_per_second": 1.0} | changes


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff", b'{"load": 5}', b'{"load":{"daily_players":"x","profile":"y"}}']
)
def test_files_that_are_no_reports_are_not_compared(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(content)
    result = lab("compare", str(path), str(path))
    assert result.exit_code == 2
    assert result.stderr.startswith("grandstand: ")


def test_a_report_that_lacks_something_is_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report()))
    result = lab("compare", str(path), str(path))
    assert result.exit_code == 2
    assert "machine" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_is_stopped_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-m", "grandstand", "lab", "run", "--minutes", "1"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        started: list[psutil.Process] = []
        # Its own server has an engine by then.
        eventually(lambda: any(tmp_path.glob("grandstand-bench-*/data/*")), 60)
        started += psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "stopped" in stderr
    assert not list(tmp_path.iterdir())
    assert not [each for each in started if is_running(each)]


def test_who_is_not_to_hear_of_a_closed_terminal_goes_on() -> None:
    async def work() -> dict[str, Any]:
        signal.raise_signal(signal.SIGHUP)
        await asyncio.sleep(0.1)
        return {"is_done": True}

    # As `nohup` has it.
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert carry_out(work) == {"is_done": True}
    finally:
        signal.signal(signal.SIGHUP, before)
