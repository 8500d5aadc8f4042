"""What stops a start: one clear sentence, an exit code, no traceback, nothing left running."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grandstand.invariants.check import REST_SECONDS_MAX
from grandstand.settings import SettingsError, load_settings, replica_urls
from grandstand.storage import archive_reader
from tests.processes.commands import run_refused

LEAST_SECONDS = 1.0

NOBODY_LISTENS = "127.0.0.1:1"


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def engines(database: str, valkey: str) -> dict[str, str]:
    return {"GRANDSTAND_DATABASE_URL": database, "GRANDSTAND_VALKEY_URL": valkey}


def test_taken_port(data_dir: Path) -> None:
    with taken_port() as port:
        code, sentence = run_refused("up", "--data-dir", str(data_dir), "--port", str(port))
    assert code == 3
    assert sentence.startswith(f"Port {port} on 127.0.0.1 is taken")


def test_a_misspelt_setting_is_told_at_the_start(data_dir: Path) -> None:
    with taken_port() as port:
        flags = ("--data-dir", str(data_dir), "--port", str(port))
        said = subprocess.run(
            [sys.executable, "-m", "grandstand", "up", *flags],
            env={**os.environ, "GRANDSTAND_PROT": "9000"},
            capture_output=True,
            text=True,
        ).stderr
    assert "No setting is named GRANDSTAND_PROT." in said
    assert "did you mean GRANDSTAND_PORT?" in said


def test_taken_port_of_serve(database_url: str, valkey_url: str) -> None:
    with taken_port() as port:
        code, sentence = run_refused("serve", "--role", "api", "--port", str(port), **engines(database_url, valkey_url))
    assert code == 3
    assert sentence.startswith(f"Port {port} on 127.0.0.1 is taken")


def test_host_of_another_machine(data_dir: Path) -> None:
    code, sentence = run_refused("up", "--data-dir", str(data_dir), "--host", "192.0.2.1")
    assert code == 3
    assert "192.0.2.1 is not an address of this machine" in sentence


def test_data_folder_with_other_things_in_it(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    (data_dir / "thesis.tex").write_text("forty-two")
    mode, owner = data_dir.stat().st_mode, data_dir.stat().st_uid
    code, sentence = run_refused("up", "--data-dir", str(data_dir), "--port", "0")
    assert code == 3
    assert "holds other things" in sentence
    assert (data_dir.stat().st_mode, data_dir.stat().st_uid) == (mode, owner)


def test_data_folder_that_is_a_file(data_dir: Path) -> None:
    data_dir.touch()
    code, sentence = run_refused("up", "--data-dir", str(data_dir), "--port", "0")
    assert code == 3
    assert "is a file" in sentence


def test_data_folder_below_a_file(data_dir: Path) -> None:
    data_dir.touch()
    code, sentence = run_refused("up", "--data-dir", str(data_dir / "data"), "--port", "0")
    assert code == 3
    assert "cannot be used" in sentence


def test_data_folder_of_another_user(data_dir: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user")
    data_dir.mkdir()
    os.chown(data_dir, 54321, 54321)
    code, sentence = run_refused("up", "--data-dir", str(data_dir), "--port", "0")
    assert code == 3
    assert "belongs to user 54321" in sentence


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("WORKERS", "0"),
        ("DATABASE_URL", "mysql://localhost/x"),
        ("DATABASE_SCHEMA", "pg_game"),
        ("DATA_DIR", ""),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_wrong_setting(name: str, value: str) -> None:
    code, sentence = run_refused("up", **{f"GRANDSTAND_{name}": value})
    assert code == 2
    assert sentence.startswith(f"Setting GRANDSTAND_{name} is wrong")


def test_a_largest_pool_below_the_smallest_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"database-pool-max is wrong: must not be below GRANDSTAND_DATABASE_POOL_MIN"
    ):
        load_settings(database_pool_min=20, database_pool_max=5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        # What a compose file makes of a variable that is not set.
        ("DATABASE_REPLICA_URL", ""),
        ("DATABASE_REPLICA_URL", "postgresql://one/game, http://two/game"),
        ("DATABASE_REPLICA_URL", "postgresql://one:port/game"),
        ("ARCHIVE_URL", ""),
        ("ARCHIVE_URL", "s3://"),
        ("ARCHIVE_URL", "https://bucket.example.com"),
    ],
)
def test_a_place_that_is_none_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"GRANDSTAND_{name}", value)
    with pytest.raises(SettingsError, match=f"Setting GRANDSTAND_{name} is wrong"):
        load_settings()


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_REPLICA_URL", "VALKEY_URL"])
@pytest.mark.parametrize("sign", ["/", "#", "?", "\N{FULLWIDTH SOLIDUS}"])
def test_a_refusal_quotes_nothing_of_a_password(name: str, sign: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scheme = "valkey" if name == "VALKEY_URL" else "postgresql"
    monkeypatch.setenv(f"GRANDSTAND_{name}", f"{scheme}://game:hunter2{sign}hunter3@one/game")
    with pytest.raises(SettingsError, match=f"GRANDSTAND_{name} is wrong") as refused:
        load_settings()
    assert "hunter" not in str(refused.value)


def test_replicas_are_named_one_after_the_other() -> None:
    urls = ["postgresql://one,two/game", "postgres://three/game"]
    assert replica_urls(load_settings(database_replica_url=", ".join(urls))) == urls


def test_no_transaction_may_stand_still_for_less_than_ours_do() -> None:
    assert load_settings(database_statement_timeout_seconds=LEAST_SECONDS)
    with pytest.raises(SettingsError, match="database-statement-timeout-seconds"):
        load_settings(database_statement_timeout_seconds=LEAST_SECONDS / 2)
    assert max(REST_SECONDS_MAX, archive_reader._SIGN_OF_LIFE_SECONDS) <= LEAST_SECONDS / 2


def test_wrong_flag() -> None:
    code, sentence = run_refused("up", "--workers", "65")
    assert code == 2
    assert sentence.startswith("Setting --workers is wrong")


def test_serve_without_engines() -> None:
    code, sentence = run_refused("serve", "--role", "worker")
    assert code == 2
    assert sentence.startswith("Setting GRANDSTAND_DATABASE_URL is missing")


@pytest.mark.parametrize("command", [("serve", "--role", "worker"), ("serve", "--role", "api", "--port", "0")])
def test_unreachable_database(command: tuple[str, ...], valkey_url: str) -> None:
    secret_url = f"postgresql://somebody:hunter2@{NOBODY_LISTENS}/game"
    code, sentence = run_refused(*command, **engines(secret_url, valkey_url))
    assert code == 4
    assert "PostgreSQL" in sentence or "database" in sentence
    assert "hunter2" not in sentence


def test_unreachable_valkey(database_url: str) -> None:
    code, sentence = run_refused("serve", "--role", "worker", **engines(database_url, f"valkey://{NOBODY_LISTENS}/0"))
    assert code == 4
    assert "Valkey" in sentence


def test_unreachable_database_of_migrate(valkey_url: str) -> None:
    code, sentence = run_refused("migrate", **engines(f"postgresql://{NOBODY_LISTENS}/game", valkey_url))
    assert code == 4
    assert "PostgreSQL" in sentence


def test_migrate_without_a_running_tree(data_dir: Path) -> None:
    code, sentence = run_refused("migrate", "--data-dir", str(data_dir))
    assert code == 2
    assert "No `grandstand up` runs in" in sentence


def test_unreachable_database_of_up(data_dir: Path) -> None:
    code, _ = run_refused(
        *("up", "--data-dir", str(data_dir), "--port", "0"),
        GRANDSTAND_DATABASE_URL=f"postgresql://{NOBODY_LISTENS}/game",
    )
    assert code == 4
