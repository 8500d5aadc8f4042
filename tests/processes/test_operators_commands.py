"""`grandstand operators` on the engines of a deployment: for the first operator, and for one that is locked out."""

import json
import os
import subprocess
import sys

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


def test_an_operator_from_the_first_day_to_the_last(settings: Settings) -> None:
    operators(settings, "add", "ann", "--role", "admin", "--password-stdin", said=PASSWORD)
    assert "already" in operators(settings, "add", "ann", "--password-stdin", said=PASSWORD, code=1).stderr
    assert "12 to 256" in operators(settings, "add", "bob", "--password-stdin", said="short", code=1).stderr
    assert "No other operator is an admin" in operators(settings, "disable", "ann", code=1).stderr
    operators(settings, "add", "bob", "--role", "admin", "--password-stdin", said=PASSWORD)
    assert operators(settings, "totp", "bob").stdout.startswith("otpauth://totp/")
    operators(settings, "disable", "ann")

    listed = json.loads(operators(settings, "list", "--json").stdout)["operators"]
    assert [(row["name"], row["role"], row["has_totp"], row["created_by"]) for row in listed] == [
        ("ann", "admin", False, "cli"),
        ("bob", "admin", True, "cli"),
    ]
    assert listed[0]["disabled_at"] is not None
    assert listed[1]["disabled_at"] is None
