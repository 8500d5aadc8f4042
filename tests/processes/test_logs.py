"""What the logs look like, and that no secret reaches them."""

import json
import subprocess
import sys

import pytest

from grandstand.telemetry.logs import without_secrets

PROGRAM = """
import logging, structlog
from grandstand.telemetry import logs
logs.configure({form!r}, "info", "tester")
structlog.get_logger("ours").info("started", url="postgresql://joe:hunter2@db/game", key="gs_server_abcdefghijklmnop")
logging.getLogger("theirs").warning("token %s", "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl")
try:
    raise ValueError("gs_admin_abcdefghijklmnop")
except ValueError:
    structlog.get_logger("ours").exception("failed")
structlog.get_logger("ours").debug("not written")
"""
SECRETS = ("hunter2", "abcdefghijklmnop", "c2lnbmF0dXJl")


def output(form: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form)], capture_output=True, text=True, check=True
    )
    assert result.stdout == ""
    return result.stderr


def test_json_is_one_object_a_line() -> None:
    first, second, third = [json.loads(line) for line in output("json").splitlines()]
    assert (first["event"], first["level"], first["role"]) == ("started", "info", "tester")
    assert second["event"].startswith("token")
    assert "ValueError" in third["exception"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_blotted_out(form: str) -> None:
    written = output(form)
    assert "started" in written
    assert "not written" not in written
    assert not [secret for secret in SECRETS if secret in written]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gs_client_0123456789abcdef seen", "gs_client_*** seen"),
        ("valkey://:s3cret@host/0", "valkey://:***@host/0"),
        ("http://localhost:8080/api", "http://localhost:8080/api"),
        ("gs_server_", "gs_server_"),
    ],
)
def test_what_counts_as_a_secret(text: str, expected: str) -> None:
    assert without_secrets(text) == expected
