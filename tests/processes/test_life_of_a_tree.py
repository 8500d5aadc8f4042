"""`grandstand up` from the first start to the next one, with everything that may happen in between."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from grandstand.embedded.processes import processes_naming
from grandstand.supervisor.state import read_state
from tests.support.server import START_TIMEOUT_SECONDS, Keys, Server, port_to_keep
from tests.support.waiting import eventually

Up = Callable[..., Server]


def send_score(server: Server, user_id: str, score: int) -> None:
    event = {"event_type": "game_ended", "user_id": user_id, "payload": {"score": score}}
    headers = {"Authorization": f"Bearer {server.keys.server}"}
    assert httpx.post(f"{server.url}/api/events", json=event, headers=headers, timeout=30).status_code == 202


def ranked(server: Server) -> dict[str, int]:
    entries = httpx.get(f"{server.url}/api/leaderboards/global", timeout=30).json()["entries"]
    return {entry["user_id"]: entry["score"] for entry in entries}


def started(condition: Callable[[], Any], what: str) -> None:
    """Wait for something to start as long as `up` does, wherever in a start it comes."""
    eventually(condition, START_TIMEOUT_SECONDS, what)


def test_ctrl_c_ends_every_process_and_the_next_start_has_the_data(up: Up) -> None:
    first = up()
    send_score(first, "grace", 700)
    eventually(lambda: ranked(first) == {"grace": 700})
    assert len(first.processes()) > 8
    os.killpg(first.pid, signal.SIGINT)  # as a terminal does: to all of the group at once
    assert first.process.wait(30) == 0
    assert first.survivors() == []
    assert "child_ended" not in first.log
    assert "engine_ended" not in first.log

    second = up()
    assert ranked(second) == {"grace": 700}
    assert second.stop(signal.SIGTERM) == 0
    assert second.survivors() == []
    assert read_state(second.data_dir) is None


def test_keys_made_at_the_first_start_are_shown_once(up: Up) -> None:
    first = up(keys=_NoKeys())
    made = re.search(r"gs_server_\S+", first.output)
    assert made is not None
    assert f"Bearer {made[0]}" in first.output
    assert first.stop(signal.SIGHUP) == 0
    assert first.survivors() == []
    second = up(keys=_NoKeys())
    assert made[0] not in second.output + second.log + first.log
    assert "as shown at the first start" in second.output


def test_a_start_after_kill_9_of_the_whole_tree_recovers(up: Up, data_dir: Path) -> None:
    first = up()
    send_score(first, "edsger", 900)
    pid_file = data_dir / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    first.kill_all()
    # The pid of the killed one now belongs to a stranger, which PostgreSQL by itself would take for its own.
    user = {"user": data_dir.stat().st_uid} if os.geteuid() == 0 else {}
    with subprocess.Popen(["sleep", "600"], **user) as stranger:
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        second = up()
        assert stranger.poll() is None
        stranger.kill()
    # Acknowledged before the kill, so it counts, whether it had been stored or not.
    eventually(lambda: ranked(second) == {"edsger": 900})


def test_a_start_after_kill_9_of_the_supervisor_takes_over(up: Up) -> None:
    first = up("--port", str(port_to_keep()))
    send_score(first, "barbara", 800)
    # In the middle of a rolling restart: what is to replace the first child loads, for as long as that may take.
    successor = _begin_restart(first)
    successor.suspend()
    eventually(lambda: _is_noted(first, successor), what="the successor is noted")
    first.process.kill()
    first.process.wait(10)
    second = up("--port", first.url.rsplit(":", 1)[1])
    assert second.url == first.url
    eventually(lambda: ranked(second) == {"barbara": 800})
    eventually(lambda: first.survivors() == [], timeout_seconds=15)

    _begin_restart(second)
    second.process.kill()
    second.process.wait(10)
    # With nobody to take over, everything ends by itself.
    eventually(lambda: second.survivors() == [], timeout_seconds=15)


def test_what_dies_is_started_again(up: Up) -> None:
    server = up()
    send_score(server, "ada", 100)
    eventually(lambda: ranked(server) == {"ada": 100})
    for words in ("--role ingest", "--role worker", "--role scheduler"):
        victim = server.named(words)[0]
        victim.kill()
        started(lambda words=words, victim=victim: _replaced(server, words, victim), f"{words} is back")
    assert server.log.count("child_ended") == 3
    for words in ("postgres -D", "valkey-server"):
        victim = next(process for process in server.named(words) if process.name() != "sh")
        victim.kill()
        started(lambda words=words, victim=victim: _replaced(server, words, victim), f"{words} is back")
        eventually(lambda: ranked(server) == {"ada": 100}, timeout_seconds=30)
    assert server.log.count("engine_ended") == 2
    send_score(server, "ada", 200)
    eventually(lambda: ranked(server) == {"ada": 200}, timeout_seconds=30)
    assert server.stop() == 0
    assert server.survivors() == []


def test_a_first_start_that_is_broken_off_leaves_nothing_in_the_way(up: Up, data_dir: Path) -> None:
    def half_made() -> list[Path]:
        return list(data_dir.glob("postgres.new-*/base"))

    def is_left() -> bool:
        return bool(processes_naming(data_dir / "postgres", ("postgres", "initdb")))

    def is_begun() -> bool:
        """Whether initdb is at work, or on a machine that looked away for so long has been."""
        return bool(half_made()) or (data_dir / "postgres").exists()

    server = up(wait=False)
    started(is_begun, "initdb is at work")
    assert server.stop() == 0
    eventually(lambda: not server.survivors() and not is_left())

    shutil.rmtree(data_dir / "postgres", ignore_errors=True)
    server = up(wait=False)
    started(is_begun, "initdb is at work")
    server.kill_all()
    assert (data_dir / "postgres").exists() != bool(half_made()), "what has its name is whole"

    server = up(wait=False)
    started((data_dir / "postgres" / "postmaster.pid").exists, "PostgreSQL starts")
    assert server.stop() == 0
    eventually(lambda: not server.survivors() and not is_left())

    assert ranked(up()) == {}
    assert half_made() == []


def test_a_tree_that_stops_with_its_parent_ends_when_that_is_killed(up: Up) -> None:
    shell = ("sh", "-c", '"$@"; exit $?', "sh")  # stays, as the parent
    server = up(prefix=shell, environment={"GRANDSTAND_STOP_WITH_PARENT": "1"})
    assert len(server.processes()) > 8
    server.process.kill()
    server.process.wait(10)
    eventually(lambda: server.survivors() == [], timeout_seconds=30)


def _begin_restart(server: Server) -> psutil.Process:
    """Begin a rolling restart; return the process that is to replace the first child, as soon as it is known."""
    old = {process.pid for process in server.processes()}
    os.kill(server.pid, signal.SIGUSR2)

    def successors() -> list[psutil.Process]:
        return [process for process in server.named("--role ingest") if process.pid not in old]

    eventually(successors, what="a successor is started")
    return successors()[0]


def _is_noted(server: Server, process: psutil.Process) -> bool:
    state = read_state(server.data_dir)
    return state is not None and process.pid in {record.pid for record in state.processes}


def _replaced(server: Server, words: str, victim: psutil.Process) -> bool:
    pids = {process.pid for process in server.named(words) if process.name() != "sh"}
    return bool(pids) and victim.pid not in pids and httpx.get(f"{server.url}/api/health/ready").status_code == 200


class _NoKeys(Keys):
    def environment(self) -> dict[str, str]:
        return {}
