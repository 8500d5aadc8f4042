"""The command line itself: help, version, settings."""

import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from grandstand import __version__
from grandstand.cli.main import app
from grandstand.settings import Settings, settings_table


def run(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "grandstand", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "400", "PATH": "/usr/bin:/bin"},
    ).stdout


def test_version_loads_little() -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "grandstand", "version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == __version__
    loaded = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "typer" in loaded
    heavy = {"litestar", "asyncpg", "sqlalchemy", "valkey", "pydantic_settings"}
    assert not loaded & heavy, "an import of the whole application takes a second"


def test_the_option_says_what_the_command_says() -> None:
    assert CliRunner().invoke(app, ["--version"]).output.strip() == __version__
    assert CliRunner().invoke(app, ["up", "-h"]).output == CliRunner().invoke(app, ["up", "--help"]).output


def test_every_command_has_help() -> None:
    commands = re.findall(r"^  ([a-z-]+) ", run("--help").split("Commands:")[1], re.MULTILINE)
    assert {"up", "serve", "migrate", "settings", "version", "dead-letters"} <= set(commands)
    for command in commands:
        # In this process: starting one for each takes longer than all else here.
        result = CliRunner().invoke(app, [command, "--help"])
        assert result.exit_code == 0
        assert "Usage:" in result.output


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
