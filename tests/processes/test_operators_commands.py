"""`grandstand operators` on the engines of a deployment: for the first operator, and for one that is locked out."""

import json
import os
import subprocess
import sys

import pyotp

from grandstand.settings import Settings, as_environment

PASSWORD = "correct horse battery"


def operators(settings: Settings, *arguments: str, code: int = 0, said: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "grandstand", "operators", *arguments],
        capture_output=True,
        text=True,
        check=False,
        input=said,
        env={**os.environ, **as_environment(settings)},
    )
    assert done.returncode == code, done.stderr
    return done


def set_up_code(settings: Settings, name: str, *, is_right: bool) -> str:
    """Set up a one-time code as somebody with an authenticator does; return what is said."""
    with subprocess.Popen(
        [sys.executable, "-m", "grandstand", "operators", "totp", name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **as_environment(settings)},
    ) as command:
        assert command.stdout is not None
        totp = pyotp.parse_uri(command.stdout.readline().strip())
        assert isinstance(totp, pyotp.TOTP)
        code = totp.now()
        said = command.communicate((code if is_right else f"{(int(code) + 1) % 1_000_000:06}") + "\n", timeout=60)[1]
    assert command.returncode == (0 if is_right else 1), said
    return said


def test_an_operator_from_the_first_day_to_the_last(settings: Settings) -> None:
    operators(settings, "add", "ann", "--role", "admin", "--password-stdin", said=PASSWORD)
    assert "already" in operators(settings, "add", "ann", "--password-stdin", said=PASSWORD, code=1).stderr
    assert "12 to 256" in operators(settings, "add", "bob", "--password-stdin", said="short", code=1).stderr
    assert "No other operator is an admin" in operators(settings, "disable", "ann", code=1).stderr
    operators(settings, "add", "bob", "--role", "admin", "--password-stdin", said=PASSWORD)
    assert "code: is wrong" in set_up_code(settings, "bob", is_right=False)
    assert not json.loads(operators(settings, "list", "--json").stdout)["operators"][1]["has_totp"]
    assert "a code is asked for from now on" in set_up_code(settings, "bob", is_right=True)
    operators(settings, "disable", "ann")

    listed = json.loads(operators(settings, "list", "--json").stdout)["operators"]
    assert [(row["name"], row["role"], row["has_totp"], row["created_by"]) for row in listed] == [
        ("ann", "admin", False, "cli"),
        ("bob", "admin", True, "cli"),
    ]
    assert listed[0]["disabled_at"] is not None
    assert listed[1]["disabled_at"] is None
