"""`grandstand keys` on the engines of a deployment: for an operator who has no key left."""

import json
import os
import subprocess
import sys

from grandstand.settings import Settings, as_environment


def keys(settings: Settings, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "grandstand", "keys", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **as_environment(settings)},
    )
    assert done.returncode == code, done.stderr
    return done


def test_a_key_from_its_making_to_its_end(settings: Settings) -> None:
    key = keys(settings, "create", "admin", "--name", "rescue").stdout.strip()
    assert key.startswith("gs_admin_")
    [first] = json.loads(keys(settings, "list", "--json").stdout)["keys"]
    assert (first["kind"], first["name"], first["status"], first["created_by"]) == ("admin", "rescue", "live", "cli")
    assert key not in keys(settings, "list").stdout

    assert "No other admin key lasts" in keys(settings, "revoke", first["id"], code=1).stderr
    rotated = json.loads(keys(settings, "rotate", first["id"], "--overlap-seconds", "0", "--json").stdout)
    assert rotated["key"] != key
    statuses = {key["id"]: key["status"] for key in json.loads(keys(settings, "list", "--json").stdout)["keys"]}
    assert statuses == {first["id"]: "expired", rotated["id"]: "live"}


def test_what_is_wrong_is_said_in_a_sentence(settings: Settings) -> None:
    assert "scopes" in keys(settings, "create", "server", "--name", "x", "--scope", "all", code=1).stderr
    assert (
        "only a server key"
        in keys(settings, "create", "client", "--name", "x", "--scope", "events:read", code=1).stderr
    )
    assert "No key has this id" in keys(settings, "revoke", "key_none", code=1).stderr
    assert "--expires-at" in keys(settings, "create", "server", "--name", "x", "--expires-at", "soon", code=2).stderr
