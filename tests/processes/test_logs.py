"""What the logs look like, and that no secret reaches them."""

import json
import re
import subprocess
import sys

import pytest

from grandstand.telemetry.logs import without_secrets

PROGRAM = """
import logging, structlog
from grandstand.telemetry import logs
logs.configure({form!r}, "info", "tester")
structlog.get_logger("ours").info("started", url="postgresql://joe:hunter2@db/game", key="gs_server_abcdefghijklmnop")
logging.getLogger("theirs").warning("token %s", "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl" + {evil!r})
try:
    raise ValueError("gs_admin_abcdefghijklmnop" + {evil!r})
except ValueError:
    structlog.get_logger("ours").exception("failed")
structlog.get_logger("ours").debug("not written")
structlog.get_logger("ours").warning("odd", user={evil!r}, raw={evil!r}.encode(), inside=[{evil!r}])
"""
EVIL = "\r\n\u2028\x9b2J\x1b[2K\n2026-01-01T00:00:00.000000Z [info     ] forged\n"
SECRETS = ("hunter2", "abcdefghijklmnop", "c2lnbmF0dXJl")


def output(form: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(form=form, evil=EVIL)], capture_output=True, text=True, check=True
    )
    assert result.stdout == ""
    return result.stderr


def test_json_is_one_object_a_line() -> None:
    first, second, third, fourth = [json.loads(line) for line in output("json").splitlines()]
    assert fourth["user"] == fourth["raw"] == EVIL
    assert (first["event"], first["level"], first["role"]) == ("started", "info", "tester")
    assert second["event"].startswith("token")
    assert "ValueError" in third["exception"]


@pytest.mark.parametrize("form", ["json", "text"])
def test_secrets_are_blotted_out(form: str) -> None:
    written = output(form)
    assert "started" in written
    assert "not written" not in written
    assert not [secret for secret in SECRETS if secret in written]


def test_what_somebody_sent_is_no_line_of_its_own() -> None:
    written = output("text")
    records = [line for line in written.split("\n") if line and not line.startswith(" ")]
    assert [re.split(r" +", line.partition("] ")[2])[0] for line in records] == ["started", "token", "failed", "odd"]
    assert written.count("forged") == 5
    assert not set(written) & set("\r\x1b\x9b\u2028")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gs_client_0123456789abcdef seen", "gs_client_*** seen"),
        ("valkey://:s3cret@host/0", "valkey://:***@host/0"),
        ("http://localhost:8080/api", "http://localhost:8080/api"),
        ("gs_server_", "gs_server_"),
        # Keys that settings hold are of any signs, and passwords in URLs need not be encoded.
        ('{"key": "gs_admin_correct.horse!battery~staple", "n": 1}', '{"key": "gs_admin_***", "n": 1}'),
        ("postgres://joe:hunt@er2@db/game and ann@example.org", "postgres://joe:***@db/game and ann@example.org"),
        (
            '{"url": "http://host:80", "mail": "ann@example.org"}',
            '{"url": "http://host:80", "mail": "ann@example.org"}',
        ),
    ],
)
def test_what_counts_as_a_secret(text: str, expected: str) -> None:
    assert without_secrets(text) == expected
