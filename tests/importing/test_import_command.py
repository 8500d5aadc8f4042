"""The command as people run it: exit codes, what is said where, standard input, Ctrl-C."""

import gzip
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from grandstand.importer.run import CHUNK_LINES_MAX
from tests.importing.conftest import Run
from tests.importing.stub import TAKE, Reply, Stub, problem, taken_with_rejected
from tests.support.waiting import eventually

LINES = b"".join(b'{"id":"%d"}\n' % number for number in range(10))


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_bytes(LINES)
    return path


def test_everything_taken_is_0_and_a_summary(stub: Stub, run_import: Run, events: Path) -> None:
    done = run_import(events, "--url", stub.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"lines +10\n +taken +10\n +refused +0\n +time +\d+\.\d s", done.stdout)
    assert stub.taken == LINES.splitlines()


def test_some_refused_is_1_with_the_reasons(stub: Stub, run_import: Run, events: Path) -> None:
    stub.decide = lambda lines: taken_with_rejected((4, "invalid_event", "The event is not valid JSON."))
    done = run_import(events, "--url", stub.url)
    assert done.returncode == 1
    assert "1 refused as invalid_event\n    line 4: The event is not valid JSON." in done.stdout


def test_the_url_comes_from_the_environment(stub: Stub, run_import: Run, events: Path) -> None:
    assert run_import(events, GRANDSTAND_URL=stub.url).returncode == 0
    assert len(stub.taken) == 10


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_standard_input_makes_the_same_events_as_the_file(
    stub: Stub, run_import: Run, tmp_path: Path, pack: type[bytes]
) -> None:
    lines = b'{"user_id":"a"}\n{"user_id":"b"}\n'
    path = tmp_path / "nameless.ndjson"
    path.write_bytes(lines)
    assert run_import(path, "--url", stub.url).returncode == 0
    assert run_import("-", "--url", stub.url, stdin=pack(lines)).returncode == 0
    assert len(stub.taken) == 4
    assert stub.taken[:2] == stub.taken[2:]


def test_csv_by_name_and_by_options(stub: Stub, run_import: Run, tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("user_id,event_type,payload.score\nada,game_ended,12\n")
    assert run_import(path, "--url", stub.url).returncode == 0
    assert stub.events()[0]["payload"] == {"score": 12}
    mapped = run_import(
        "-", "--map", "user_id=player", "--set", "event_type=t", "--url", stub.url, stdin=b"player\nbob\n"
    )
    assert mapped.returncode == 0
    assert stub.events()[1]["user_id"] == "bob"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.ndjson"], "nothing.ndjson cannot be read: no such file or directory."),
        (["events.ndjson", "--url", "localhost:8080"], "must begin with http:// or https://"),
        (["events.ndjson", "--map", "score=points"], "--map 'score' names no field"),
        (["events.ndjson", "--server-key", ""], "The server key is missing: set GRANDSTAND_SERVER_KEY."),
        ([], "Missing argument"),
        (["events.ndjson", "--retry-seconds", "soon"], "--retry-seconds"),
    ],
)
def test_wrong_usage_is_2_and_a_sentence(
    run_import: Run, events: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(events.parent)
    done = run_import(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_no_server_is_4_and_one_sentence(run_import: Run, events: Path) -> None:
    done = run_import(events, "--url", "http://127.0.0.1:1", "--retry-seconds", "0")
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == (
        "grandstand: The server at http://127.0.0.1:1 cannot be reached (connection refused)."
    )
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_refused_key_is_4_and_is_not_repeated(stub: Stub, run_import: Run, events: Path) -> None:
    stub.decide = lambda lines: problem(401, "This key is unknown or revoked.")
    done = run_import(events, "--url", stub.url)
    assert done.returncode == 4
    assert "refuses the key: This key is unknown or revoked." in done.stderr
    assert "0123456789abcdef" not in done.stderr + done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_cleanly_and_the_same_command_goes_on(
    stub: Stub, environment: dict[str, str], tmp_path: Path, run_import: Run, number: signal.Signals
) -> None:
    path = tmp_path / "events.ndjson"
    path.write_bytes(b"".join(b'{"id":"%d"}\n' % n for n in range(3 * CHUNK_LINES_MAX)))
    go_on = threading.Event()

    def decide(lines: list[bytes]) -> Reply:
        if len(stub.requests) == 2:
            go_on.wait(30)
        return TAKE

    stub.decide = decide
    command = [sys.executable, "-m", "grandstand", "import", str(path), "--url", stub.url]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        eventually(lambda: len(stub.requests) == 2, what="the second request is under way")
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
    go_on.set()
    assert process.returncode == 130
    assert "after line 1,000; the same command goes on from there" in errors.decode()
    assert "Traceback" not in errors.decode()
    assert "taken    1,000" in output.decode()
    stub.requests.clear()
    done = run_import(path, "--url", stub.url)
    assert done.returncode == 0
    assert [len(lines) for lines in stub.requests] == [CHUNK_LINES_MAX, CHUNK_LINES_MAX]
    assert "taken    3,000" in done.stdout


def test_a_terminal_gets_a_bar(stub: Stub, environment: dict[str, str], events: Path) -> None:
    go_on = threading.Event()
    stub.decide = lambda lines: (go_on.wait(30), TAKE)[1]
    screen, terminal = pty.openpty()
    command = [sys.executable, "-m", "grandstand", "import", str(events), "--url", stub.url]
    drawn = b""
    environment |= {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        while b"Importing" not in drawn:
            drawn += os.read(screen, 4096)
        go_on.set()
        output, _ = process.communicate(timeout=30)
    os.close(screen)
    assert process.returncode == 0
    assert b"taken    10" in output


def test_the_help_says_what_each_option_does(run_import: Run) -> None:
    done = run_import("--help")
    assert done.returncode == 0
    for option in ("--url", "--csv", "--map", "--set", "--text", "--delimiter", "--retry-seconds", "--restart"):
        assert option in done.stdout
