"""A tree that runs: what it prints, how its processes look, what others find in the data folder."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from grandstand.embedded.data_folder import is_in_use
from grandstand.supervisor.state import read_state
from tests.processes.commands import run_refused
from tests.support.server import Server
from tests.support.waiting import eventually


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_printed_commands_rank_a_player(running_server: Server) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    post, read = re.findall(r"^  curl (?:.*\\\n)*.*$", running_server.output, re.MULTILINE)
    environment = {**os.environ, "GRANDSTAND_SERVER_KEY": running_server.keys.server}
    answer = subprocess.run(["sh", "-c", post], env=environment, capture_output=True, text=True, check=True).stdout
    assert '"accepted":1' in answer.replace(" ", "")
    eventually(
        lambda: '"user_id":"ada"' in subprocess.run(["sh", "-c", read], capture_output=True, text=True).stdout,
        what="ada is ranked",
    )


@pytest.mark.parametrize(
    ("command", "more"), [("operators add NAME", " --password-stdin"), ("keys create server --name NAME", "")]
)
def test_what_is_printed_can_be_pasted(running_server: Server, command: str, more: str) -> None:
    (line,) = re.findall(rf"^  (.* {command} .*)$", running_server.output, re.MULTILINE)
    answer = subprocess.run(
        ["sh", "-c", line.replace("NAME", "pasted") + more],
        input="a long enough password\n",
        env={**os.environ, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr


def test_every_process_shows_its_role(running_server: Server) -> None:
    roles = ("grandstand up", "--role ingest --role api", "--role scheduler", "guardian.sh INT", "guardian.sh TERM")
    for role in (*roles, "postgres -D", "valkey-server"):
        assert running_server.named(role), role
    assert len(running_server.named("--role worker")) == 2


def test_who_answers_players_goes_first(running_server: Server) -> None:
    def niceness(words: str) -> set[int]:
        found = (process for process in running_server.named(words) if process.name() != "sh")
        return {process.nice() for process in found}

    (own,) = niceness("grandstand up")
    assert niceness("--role ingest --role api") == niceness("valkey-server") == {own}
    for words in ("--role worker", "--role scheduler", "postgres -D"):
        assert niceness(words) == {min(19, own + 5)}, words


def test_keys_set_by_the_environment_are_not_shown(running_server: Server) -> None:
    for key in (running_server.keys.admin, running_server.keys.server, running_server.keys.client):
        assert key not in running_server.output + running_server.log


def test_everything_in_the_data_folder_is_closed_to_others(running_server: Server) -> None:
    data_dir = running_server.data_dir
    for folder in (data_dir, *(data_dir / name for name in ("postgres", "valkey", "run", "logs"))):
        assert mode_of(folder) == 0o700, folder
    assert mode_of(data_dir / "run" / "state.json") == 0o600


def test_root_runs_no_engine_and_opens_no_parent(running_server: Server) -> None:
    if os.geteuid() != 0:
        pytest.skip("only of interest for root")
    assert mode_of(running_server.data_dir.parent) == 0o700  # which the engines' user cannot pass by itself
    for words in ("postgres -D", "valkey-server"):
        assert all(process.uids().effective != 0 for process in running_server.named(words)), words


def test_the_state_leads_other_commands_to_the_tree(running_server: Server) -> None:
    state = read_state(running_server.data_dir)
    assert state is not None
    assert is_in_use(running_server.data_dir)
    assert (state.pid, state.url) == (running_server.pid, running_server.url)
    assert {"http-1", "worker-1", "worker-2", "scheduler"} <= {record.name for record in state.processes}


def test_migrate_finds_the_tree_and_changes_nothing(running_server: Server) -> None:
    command = [sys.executable, "-m", "grandstand", "migrate", "--data-dir", str(running_server.data_dir)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "The schema grandstand is up to date.\n"


def test_a_second_tree_in_the_folder_is_refused(running_server: Server) -> None:
    code, sentence = run_refused("up", "--data-dir", str(running_server.data_dir), "--port", "0")
    assert code == 3
    assert f"is in use by another Grandstand (process {running_server.pid})" in sentence
