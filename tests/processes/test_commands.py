"""The command line itself: help, version, settings, and how long they take."""

import re
import subprocess
import sys
import time

import pytest

from grandstand import __version__
from grandstand.settings import Settings, settings_table


def run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "grandstand", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "400", "PATH": "/usr/bin:/bin"},
    ).stdout


def test_version_is_quick() -> None:
    started = time.monotonic()
    assert run("version").strip() == __version__
    # 0.25 s where nothing else runs; the limit catches an import of the whole application.
    assert time.monotonic() - started < 2


def test_every_command_has_help() -> None:
    commands = re.findall(r"^  ([a-z]+) ", run("--help").split("Commands:")[1], re.MULTILINE)
    assert {"up", "serve", "migrate", "settings", "version"} <= set(commands)
    for command in commands:
        assert "Usage:" in run(command, "--help")


@pytest.mark.parametrize("command", ["up", "serve"])
def test_flags_say_what_the_settings_say(command: str) -> None:
    # The texts are repeated so that the help needs no import of the settings; here they are compared.
    help_text = re.sub(r"\s+", " ", run(command, "--help"))
    flags = set(re.findall(r"--([a-z-]+) <", help_text))
    named = {name: field for name, field in Settings.model_fields.items() if name.replace("_", "-") in flags}
    assert {"host", "port"} <= set(named)
    for field in named.values():
        assert f"{field.description} [default: {field.default}]" in help_text


def test_settings_table() -> None:
    assert run("settings", "--markdown").strip() == settings_table()
    assert "GRANDSTAND_PORT [default: 8080]" in run("settings")
