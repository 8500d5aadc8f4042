"""`grandstand up` from the first start to the next one, with everything that may happen in between."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from grandstand.embedded.processes import processes_naming
from tests.support.server import Keys, Server
from tests.support.waiting import eventually

Up = Callable[..., Server]


def send_score(server: Server, user_id: str, score: int) -> None:
    event = {"event_type": "game_ended", "user_id": user_id, "payload": {"score": score}}
    headers = {"Authorization": f"Bearer {server.keys.server}"}
    assert httpx.post(f"{server.url}/api/events", json=event, headers=headers).status_code == 202


def ranked(server: Server) -> dict[str, int]:
    entries = httpx.get(f"{server.url}/api/leaderboards/global").json()["entries"]
    return {entry["user_id"]: entry["score"] for entry in entries}


def test_the_printed_commands_rank_a_player(running_server: Server) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    post, read = _commands(running_server.output)
    environment = {**os.environ, "GRANDSTAND_SERVER_KEY": running_server.keys.server}
    answer = subprocess.run(["sh", "-c", post], env=environment, capture_output=True, text=True, check=True).stdout
    assert '"accepted":1' in answer.replace(" ", "")
    eventually(
        lambda: '"user_id":"ada"' in subprocess.run(["sh", "-c", read], capture_output=True, text=True).stdout,
        what="ada is ranked",
    )


def test_every_process_shows_its_role(running_server: Server) -> None:
    roles = ("grandstand up", "--role ingest --role api", "--role scheduler", "guardian.sh INT", "guardian.sh TERM")
    for role in (*roles, "postgres -D", "valkey-server"):
        assert running_server.named(role), role
    assert len(running_server.named("--role worker")) == 2


def test_keys_made_at_the_first_start_are_shown_once(up: Up) -> None:
    no_keys = dict.fromkeys(Keys().environment(), "")
    environment = {name: value for name, value in no_keys.items() if value}
    first = up(keys=_NoKeys(), environment=environment)
    made = re.search(r"gs_server_\S+", first.output)
    assert made is not None
    assert made[0] in _commands(first.output)[0]
    assert first.stop() == 0
    second = up(keys=_NoKeys())
    assert made[0] not in second.output + second.log + first.log
    assert "as shown at the first start" in second.output


def test_keys_set_by_the_environment_are_not_shown(running_server: Server) -> None:
    for key in (running_server.keys.admin, running_server.keys.server, running_server.keys.client):
        assert key not in running_server.output + running_server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process(up: Up, number: signal.Signals) -> None:
    server = up()
    assert len(server.processes()) > 8
    assert server.stop(number) == 0
    assert server.survivors() == []
    assert not (server.data_dir / "run" / "state.json").exists()


@pytest.mark.parametrize("moment", ["initdb", "migrate"])
def test_a_signal_half_way_through_the_first_start_ends_it(up: Up, data_dir: Path, moment: str) -> None:
    server = up(wait=False)
    is_at_work = {
        "initdb": lambda: list(data_dir.glob("postgres.new-*/base")),
        "migrate": lambda: (data_dir / "postgres" / "postmaster.pid").exists(),
    }[moment]
    eventually(is_at_work)
    assert server.stop() == 0
    eventually(lambda: not server.survivors() and not processes_naming(data_dir / "postgres", ("postgres", "initdb")))
    assert up().stop() == 0


def test_ctrl_c_reaches_the_whole_group_and_harms_nothing(up: Up) -> None:
    server = up()
    server.processes()
    os.killpg(server.pid, signal.SIGINT)
    assert server.process.wait(30) == 0
    assert server.survivors() == []
    assert "child_ended" not in server.log
    assert "engine_ended" not in server.log


def test_the_next_start_has_the_data(up: Up) -> None:
    first = up()
    send_score(first, "grace", 700)
    eventually(lambda: ranked(first) == {"grace": 700})
    assert first.stop() == 0
    assert ranked(up()) == {"grace": 700}


def test_a_start_after_kill_9_of_the_whole_tree_recovers(up: Up) -> None:
    first = up()
    send_score(first, "edsger", 900)
    first.kill_all()
    second = up()
    # Acknowledged before the kill, so it counts, stored or not.
    eventually(lambda: ranked(second) == {"edsger": 900})


def test_everything_ends_when_only_the_supervisor_is_killed(up: Up) -> None:
    server = up()
    server.processes()
    server.process.kill()
    server.process.wait(10)
    eventually(lambda: server.survivors() == [], timeout_seconds=15)


def test_a_start_right_after_the_supervisor_was_killed_takes_over(up: Up) -> None:
    first = up()
    send_score(first, "barbara", 800)
    port = first.url.rsplit(":", 1)[1]
    first.processes()
    first.process.kill()
    first.process.wait(10)
    second = up("--port", port)
    assert second.url == first.url
    eventually(lambda: ranked(second) == {"barbara": 800})
    eventually(lambda: first.survivors() == [], timeout_seconds=15)


def test_what_dies_is_started_again(up: Up) -> None:
    server = up()
    send_score(server, "ada", 100)
    eventually(lambda: ranked(server) == {"ada": 100})
    for words in ("--role ingest", "--role worker", "--role scheduler"):
        victim = server.named(words)[0]
        victim.kill()
        eventually(lambda words=words, victim=victim: _replaced(server, words, victim), what=f"{words} is back")
    assert server.log.count("child_ended") == 3
    for words in ("postgres -D", "valkey-server"):
        victim = next(process for process in server.named(words) if process.name() != "sh")
        victim.kill()
        eventually(lambda words=words, victim=victim: _replaced(server, words, victim), what=f"{words} is back")
        eventually(lambda: ranked(server) == {"ada": 100}, timeout_seconds=30)
    assert server.log.count("engine_ended") == 2
    send_score(server, "ada", 200)
    eventually(lambda: ranked(server) == {"ada": 200}, timeout_seconds=30)
    assert server.stop() == 0
    assert server.survivors() == []


def test_a_tree_that_stops_with_its_parent_ends_when_that_is_killed(up: Up) -> None:
    server = up(
        prefix=("sh", "-c", '"$@"; exit $?', "sh"), environment={"GRANDSTAND_STOP_WITH_PARENT": "1"}
    )  # the shell is the parent
    assert len(server.processes()) > 8
    server.process.kill()
    server.process.wait(10)
    eventually(lambda: server.survivors() == [], timeout_seconds=30)


def _replaced(server: Server, words: str, victim: psutil.Process) -> bool:
    pids = {process.pid for process in server.named(words) if process.name() != "sh"}
    return bool(pids) and victim.pid not in pids and httpx.get(f"{server.url}/api/health/ready").status_code == 200


def _commands(output: str) -> tuple[str, str]:
    post, read = re.findall(r"^  curl (?:.*\\\n)*.*$", output, re.MULTILINE)
    return post, read


class _NoKeys(Keys):
    def environment(self) -> dict[str, str]:
        return {}
