"""`grandstand doctor` beside a running tree and beside engines that are set up badly or away."""

import json
import os
import subprocess
import sys

import psycopg
import valkey

from grandstand.supervisor.state import State, read_state
from tests.support.server import Server


def ask(*arguments: str, **environment: str) -> "tuple[int, dict[str, dict[str, str]]]":
    """Run the command; return its exit code and each check's answer."""
    result = subprocess.run(
        [sys.executable, "-m", "grandstand", "doctor", "--json", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
    )
    assert result.returncode in (0, 1), result.stderr
    document = json.loads(result.stdout)
    assert document["is_ok"] is (result.returncode == 0)
    return result.returncode, {each["check"]: each for each in document["checks"]}


def state_of(server: Server) -> State:
    state = read_state(server.data_dir)
    assert state is not None
    return state


def test_a_fresh_tree_is_set_up_well(running_server: Server) -> None:
    code, found = ask("--data-dir", str(running_server.data_dir))
    assert code == 0, found
    assert {name for name, each in found.items() if each["status"] != "ok"} <= {"open_files", "disk"}, found
    assert {"settings", "disk", "schema", "partitions", "postgres_fsync", "valkey_appendfsync", "valkey_clock"} <= set(
        found
    )
    shown = subprocess.run(
        [sys.executable, "-m", "grandstand", "doctor", "--data-dir", str(running_server.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert [line.split()[1] for line in shown.stdout.splitlines() if "→" not in line] == list(found)


def test_whoever_reads_the_first_lines_only_hears_no_noise(running_server: Server) -> None:
    command = [sys.executable, "-m", "grandstand", "doctor", "--data-dir", str(running_server.data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asked:
        assert asked.stdout is not None
        assert asked.stderr is not None
        assert asked.stdout.readline()
        asked.stdout.close()
        assert asked.stderr.read() == ""
        assert asked.wait(60) == 0


def test_what_is_wrong_is_told_with_what_helps(running_server: Server) -> None:
    state = state_of(running_server)
    with (
        psycopg.connect(state.database_url, autocommit=True) as database,
        valkey.Valkey.from_url(state.valkey_url) as direct,
    ):
        role = database.execute("SELECT current_user").fetchone()
        assert role is not None
        # All of them: a new month may begin before the command asks for its own.
        partitions = [
            row[0]
            for row in database.execute(
                "SELECT relname FROM pg_class WHERE relname LIKE 'events\\_20%' AND relkind = 'r'"
            ).fetchall()
        ]
        assert partitions
        try:
            database.execute(f'ALTER ROLE "{role[0]}" SET synchronous_commit = off')
            for name in partitions:
                database.execute(f"ALTER TABLE {state.database_schema}.{name} RENAME TO away_{name}")
            direct.config_set("maxmemory-policy", "allkeys-lru")
            code, found = ask(
                "--data-dir", str(running_server.data_dir),
                GRANDSTAND_DATABASE_POOL_MAXX="5", GRANDSTAND_WORKERS="64", GRANDSTAND_DATABASE_POOL_MAX="1000",
            )  # fmt: skip
        finally:
            database.execute(f'ALTER ROLE "{role[0]}" RESET synchronous_commit')
            for name in partitions:
                database.execute(f"ALTER TABLE IF EXISTS {state.database_schema}.away_{name} RENAME TO {name}")
            direct.config_set("maxmemory-policy", "noeviction")
    assert code == 1
    failed = {name for name, each in found.items() if each["status"] == "failed"}
    assert failed == {"postgres_synchronous_commit", "partitions", "valkey_maxmemory-policy"}
    assert "GRANDSTAND_DATABASE_POOL_MAX?" in found["settings"]["do"]
    assert found["connections"]["status"] == "warning"
    assert all(each["do"] for each in found.values() if each["status"] != "ok")


def test_engines_out_of_reach_are_findings() -> None:
    code, found = ask(
        GRANDSTAND_DATABASE_URL="postgresql://nobody@127.0.0.1:1/none", GRANDSTAND_VALKEY_URL="valkey://127.0.0.1:1/0"
    )
    assert code == 1
    assert (found["postgres"]["status"], found["valkey"]["status"]) == ("failed", "failed")
    assert "GRANDSTAND_DATABASE_URL" in found["postgres"]["do"]
