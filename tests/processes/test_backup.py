"""Backups of a running tree, restored into new folders: nothing acknowledged is missing, nothing counts twice."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from grandstand.bootstrap.backing_up import back_up, restore
from grandstand.embedded.data_folder import open_data_folder
from grandstand.embedded.engine_copies import PointInTime
from grandstand.embedded.engines import Engines
from grandstand.embedded.errors import BackupError
from grandstand.settings import load_settings
from grandstand.storage.migrate import migrate
from grandstand.supervisor.state import read_state
from tests.faults.load import Load, client_of, define_ticks, depth
from tests.processes.commands import run_refused
from tests.support.server import Server
from tests.support.waiting import eventually, eventually_async

Up = Callable[..., Server]


def run(*arguments: str) -> str:
    """Run a command that succeeds; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "grandstand", *arguments], capture_output=True, text=True, timeout=120, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def scores(client: httpx.Client) -> dict[str, int]:
    page = client.get("/api/leaderboards/ticks", params={"limit": 1000}).raise_for_status().json()
    return {entry["user_id"]: entry["score"] for entry in page["entries"]}


def known_of(held: dict[str, int]) -> dict[str, int]:
    return {user: score for user, score in held.items() if user.startswith("known")}


@pytest.mark.timeout(300)
def test_a_backup_under_load_is_restored(running_server: Server, up: Up, data_dir: Path) -> None:
    """What was acknowledged before it began is in it, also what nobody had processed; nothing counts twice."""
    server = running_server
    backup, restored = data_dir.parent / "backup", data_dir.parent / "restored"
    known = [{"event_type": "tick", "user_id": f"known{number}", "id": str(uuid4())} for number in range(40)]
    workers = server.named("--role worker")
    with client_of(server.url, server.keys.server) as client, ThreadPoolExecutor() as pool:
        define_ticks(client)
        url = read_state(server.data_dir).database_url
        with psycopg.connect(url, autocommit=True, options="-c search_path=grandstand") as connection:
            connection.execute("INSERT INTO archive_tokens (token, database) VALUES (gen_random_uuid(), 'this')")
        with Load(server.url, server.keys.server) as load:
            load.go_on()
            for worker in workers:
                worker.suspend()
            try:
                # Only the stream has these, until it is copied.
                assert client.post("/api/events", json=known).status_code == 202
                acknowledged = load.acknowledged
                making = pool.submit(run, "backup", str(backup), "--data-dir", str(server.data_dir))
                eventually(
                    lambda: [*data_dir.parent.glob(".backup.unfinished-*/valkey/*.manifest")] or making.done(), 60
                )
            finally:
                for worker in workers:
                    worker.resume()
            assert "everything acknowledged by" in making.result()
            load.go_on()
    said = run("restore", str(backup), "--data-dir", str(restored))
    assert "holds the backup of" in said
    assert "before `grandstand archive adopt`" in said, "the original needs its archive"
    server = up(folder=restored)
    once = {each["user_id"]: 1 for each in known}
    with client_of(server.url, server.keys.server) as client:
        eventually(lambda: depth(client) == 0, 60)
        # Nothing was sent again so far.
        eventually(lambda: known_of(scores(client)) == once)
        assert acknowledged <= sum(scores(client).values()) - len(known) <= sum(load.sent.values())
        assert client.post("/api/events", json=known).json()["accepted"] == len(known)
        eventually(lambda: depth(client) == 0, 60)
        run("rebuild", "--all", "--data-dir", str(restored))
        assert known_of(scores(client)) == once
    run("verify", "--all", "--data-dir", str(restored))


@pytest.mark.anyio
async def test_a_moment_before_an_accident_is_restored(anyio_backend: object, data_dir: Path) -> None:
    """Without a tree: PostgreSQL with an archive of its log, and Valkey."""
    data_dir.parent.chmod(0o755)
    log, backup, restored = (data_dir.parent / name for name in ("it's a log", "backup", "restored"))
    log.mkdir()
    log.chmod(0o777)

    def tell(engines: Engines, statement: str) -> list[tuple[Any, ...]]:
        assert engines.postgres is not None
        with psycopg.connect(engines.postgres.url, autocommit=True, options="-c search_path=grandstand") as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    with open_data_folder(data_dir) as folder:
        engines = Engines(folder)
        await engines.start()
        try:
            assert engines.postgres is not None
            assert engines.valkey is not None
            tell(engines, "ALTER SYSTEM SET archive_mode = on")
            command = f'cp "%p" "{log}/%f"'.replace("'", "''")
            tell(engines, f"ALTER SYSTEM SET archive_command = '{command}'")
            await engines.postgres.stop()
            await engines.postgres.start()
            migrate(engines.postgres.url, "grandstand")
            settings = load_settings(
                database_url=engines.postgres.url, valkey_url=engines.valkey.url, database_pool_min=1
            )
            await back_up(settings, folder.path, backup)
            # As an older version would have made it: what is restored is migrated when it is started.
            tell(engines, "ALTER TABLE leases DROP COLUMN streams_holder")
            tell(engines, "DROP FUNCTION refuse_leader_of_one_stream CASCADE")
            tell(engines, "DROP TABLE event_streams")
            tell(engines, "DROP TABLE archive_tokens")
            tell(engines, "ALTER TABLE stream_losses DROP COLUMN stream")
            tell(engines, "UPDATE schema_version SET version_num = '0033'")
            tell(engines, "INSERT INTO stream_mark (incarnation, appended, depth) VALUES ('the stream before', 9, 9)")
            tell(engines, "INSERT INTO players (user_id) VALUES ('ann'), ('bob')")
            [(moment,)] = tell(engines, "SELECT clock_timestamp()::text")
            tell(engines, "DELETE FROM players")
            [(segment,)] = tell(engines, "SELECT pg_walfile_name(pg_switch_wal())")
            archived = "SELECT last_archived_wal FROM pg_stat_archiver"
            await eventually_async(lambda: tell(engines, archived)[0][0] >= segment, 60)
        finally:
            await engines.stop()
    await restore(load_settings(data_dir=restored), backup, PointInTime(log, moment))
    with open_data_folder(restored) as folder:
        engines = Engines(folder)
        await engines.start()
        try:
            assert tell(engines, "SELECT user_id FROM players ORDER BY 1") == [("ann",), ("bob",)]
            assert engines.postgres is not None
            migrate(engines.postgres.url, "grandstand")
            seen = tell(engines, "SELECT stream, incarnation FROM event_streams")
            assert seen == [(0, None)], "that it is not the stream of before is no loss"
            assert tell(engines, "SHOW archive_mode") == [("off",)], "the archive is that of the other one"
            assert tell(engines, "SHOW restore_command") == [("",)]
        finally:
            await engines.stop()


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """A folder that looks like a backup."""
    folder = tmp_path / "backup"
    (folder / "valkey").mkdir(parents=True)
    (folder / "valkey" / "file").write_text("abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    manifest = {
        "format": 1, "schema_version": "0001", "postgres": 1,
        "files": {"valkey/file": {"bytes": 3, "sha256": digest}},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "There is no whole backup in"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "There is no whole backup in"),
        (lambda folder: (folder / "valkey" / "file").write_text("abd"), "is damaged: valkey/file is not what was"),
        (lambda folder: (folder / "valkey" / "file").unlink(), "There is no whole backup in"),
        (lambda folder: None, "is of PostgreSQL 1, and"),
        (lambda folder: shutil.copytree(folder, folder.parent / "data"), "data is not empty"),
        (
            lambda folder: (folder / "manifest.json").write_text(
                (folder / "manifest.json").read_text().replace("0001", "9999")
            ),
            "was made by a newer version of Grandstand",
        ),
    ],
)
@pytest.mark.anyio
async def test_what_cannot_be_restored_is_refused(
    anyio_backend: object, backup: Path, change: Callable[[Path], object], said: str
) -> None:
    change(backup)
    data = backup.parent / "data"
    with pytest.raises(BackupError, match=said):
        await restore(load_settings(data_dir=data), backup, None)
    assert not (data / "postgres").exists()


def test_a_restore_that_was_broken_off_is_not_started(tmp_path: Path) -> None:
    for name in ("lock", "restoring"):
        (tmp_path / name).touch()
    code, sentence = run_refused("up", "--data-dir", str(tmp_path), "--port", "0")
    assert code == 3
    assert "did not come to its end" in sentence


def test_a_backup_needs_a_running_tree_and_a_new_folder(running_server: Server, tmp_path: Path) -> None:
    code, sentence = run_refused("backup", str(tmp_path / "new"), "--data-dir", str(tmp_path))
    assert (code, "No `grandstand up` runs in" in sentence) == (2, True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    code, sentence = run_refused("backup", str(tmp_path / "full"), "--data-dir", str(running_server.data_dir))
    assert (code, "There is something in" in sentence) == (1, True)
    code, sentence = run_refused("restore", str(tmp_path / "full"), "--data-dir", str(tmp_path / "new"))
    assert (code, "There is no whole backup in" in sentence) == (1, True)
    code, sentence = run_refused("rebuild", "--data-dir", str(running_server.data_dir))
    assert (code, sentence) == (2, "Name leaderboards, or all of them with --all.")
    code, sentence = run_refused("rebuild", "nobody", "--data-dir", str(running_server.data_dir))
    assert (code, "There is no leaderboard 'nobody'" in sentence) == (1, True)
