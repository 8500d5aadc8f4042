"""Dead letters of a running tree, and the commands for them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from grandstand.cli.main import app
from tests.support.poison import append_to, poison
from tests.support.server import Server
from tests.support.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]
UNKNOWN = "0197a3c2-5b1e-7c40-8d2a-3f6b9e10c4d7"


@pytest.fixture
def grandstand(running_server: Server, tmp_path: Path) -> Run:
    """Run a command with the server's URL and admin key."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        server = {"GRANDSTAND_URL": running_server.url, "GRANDSTAND_ADMIN_KEY": running_server.keys.admin}
        return subprocess.run(
            [sys.executable, "-m", "grandstand", "dead-letters", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=tmp_path,
            env={**os.environ, **server, **environment},
        )

    return run


def put(server: Server, *texts: bytes) -> None:
    """Put events into the server's stream, past every check."""
    asyncio.run(append_to(server, texts))


def test_the_commands(grandstand: Run, running_server: Server) -> None:
    bad = [poison(), poison("no user"), poison("NUL in the user")]
    put(running_server, *bad)

    def listed(*arguments: str) -> list[dict[str, object]]:
        result = grandstand("list", "--json", *arguments)
        assert result.returncode == 0, result.stderr
        found: list[dict[str, object]] = json.loads(result.stdout)["dead_letters"]
        return found

    def are_dead() -> bool:
        # By the API, as starting a command takes a second.
        headers = {"Authorization": f"Bearer {running_server.keys.admin}"}
        url = f"{running_server.url}/api/dead-letters?status=dead"
        return len(httpx.get(url, headers=headers, timeout=30).json()["dead_letters"]) == 3

    eventually(are_dead, 60)
    letters = listed("--status", "dead")
    assert len(letters) == 3
    assert len(listed("--user", "eve", "--type", "game_ended", "--error", "UntranslatableCharacterError")) == 1
    table = grandstand("list").stdout.splitlines()
    assert table[0].split()[:3] == ["id", "status", "event_type"]
    assert [line.split()[0] for line in table[1:]] == [letter["id"] for letter in letters]

    (one,) = listed("--error", "ValidationError")
    shown = json.loads(grandstand("show", str(one["id"]), "--json").stdout)
    assert shown == one | {"body": bad[1].decode(), "body_base64": None}
    assert f"id: {one['id']}" in grandstand("show", str(one["id"])).stdout

    again = grandstand("replay", str(one["id"]))
    assert (again.returncode, again.stdout) == (0, f"{one['id']}: replayed.\n")
    every = grandstand("replay", "--all", "--user", "eve")
    assert every.stdout == "1 replayed, 0 remain.\n"
    # Neither has become better: both die again.
    eventually(are_dead, 60)

    for letter in letters:
        deleted = grandstand("delete", str(letter["id"]))
        assert (deleted.returncode, deleted.stdout) == (0, f"{letter['id']}: deleted.\n")
    assert listed() == []


def test_what_stops_the_commands_is_one_sentence(running_server: Server) -> None:
    """In this process: that commands start and print is shown above."""
    cases: list[tuple[tuple[str, ...], dict[str, str], int, str]] = [
        (("show", UNKNOWN), {}, 1, "There is no such dead letter."),
        (("replay", UNKNOWN), {}, 1, "There is no such dead letter."),
        (("delete", "x"), {}, 1, "There is no such dead letter."),
        (("replay",), {}, 2, "or give --all"),
        (("replay", UNKNOWN, "--all"), {}, 2, "or give --all"),
        (("list", "--status", "x"), {}, 1, "status: must be"),
        (("list",), {"GRANDSTAND_ADMIN_KEY": ""}, 2, "The admin key is missing: set GRANDSTAND_ADMIN_KEY"),
        (("list",), {"GRANDSTAND_ADMIN_KEY": running_server.keys.server}, 4, "This needs an admin key"),
    ]
    for arguments, environment, code, words in cases:
        server = {"GRANDSTAND_URL": running_server.url, "GRANDSTAND_ADMIN_KEY": running_server.keys.admin}
        result = CliRunner().invoke(app, ["dead-letters", *arguments], env={**server, **environment})
        assert (result.exit_code, result.stdout) == (code, ""), (arguments, result.stderr)
        assert words in result.stderr
        assert len(result.stderr.splitlines()) == 1
