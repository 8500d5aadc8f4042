"""A disk that fills up under the engines: clear errors, nothing lost, and all is well when there is room again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from soak.small_disk import NEEDS, Disk, can_mount, on_a_new_disk, on_disks_with_copies

from tests.faults.load import Load, client_of, define_ticks
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually

DISK_BYTES = 160 * 1024 * 1024


@contextmanager
def on_a_small_disk(folder: Path) -> Iterator[tuple[Server, Disk]]:
    """A tree whose data folder is on a small disk."""
    folder.mkdir()
    server = start_up(folder / "data", "--workers", "1", prefix=on_a_new_disk(folder, DISK_BYTES))
    disk = Disk(server.pid, folder)
    try:
        yield server, disk
    finally:
        disk.free()
        end(server)


@contextmanager
def with_postgresql_on_a_small_disk(data_dir: Path) -> Iterator[tuple[Server, Disk]]:
    """A tree whose PostgreSQL alone is on a small disk: the folder of a first start is copied there."""
    end(start_up(data_dir, "--workers", "1"))
    folder = data_dir / "postgres"
    server = start_up(data_dir, "--workers", "1", prefix=on_disks_with_copies([folder], DISK_BYTES))
    disk = Disk(server.pid, folder)
    try:
        yield server, disk
    finally:
        disk.free()
        end(server)


@pytest.mark.skipif(not can_mount(), reason=NEEDS)
def test_a_full_disk_refuses_events_and_loses_none(tmp_path: Path) -> None:
    with on_a_small_disk(tmp_path / "disk") as (server, disk), client_of(server.url, server.keys.server) as client:
        define_ticks(client)
        with Load(server.url, server.keys.server, 1000, retry_seconds=0.3) as load:
            load.go_on()
            disk.fill()
            eventually(lambda: len(load.failures()) > 20, 60, "events are refused")
            eventually(lambda: "disk_full" in server.log, 30, "the log says why")
            assert client.get("/api/health").json()["valkey"] == "unreachable"
            disk.free()
            load.go_on(1000, 60)
        assert {answer.outcome for answer in load.failures()} == {"503"}
        load.check(client, 60)
        eventually(lambda: client.get("/api/health").json()["status"] == "ok", 30)
        assert server.log.count("engine_ended") < 20, "engines are not started again and again"
        assert "child_ended" not in server.log
    assert server.survivors() == []


@pytest.mark.skipif(not can_mount(), reason=NEEDS)
def test_events_wait_while_postgresql_has_no_room(data_dir: Path) -> None:
    with (
        with_postgresql_on_a_small_disk(data_dir) as (server, disk),
        client_of(server.url, server.keys.server) as client,
    ):
        define_ticks(client)
        with Load(server.url, server.keys.server, 1000) as load:
            load.go_on()
            disk.fill()
            eventually(lambda: "disk_full" in server.log, 60, "the log says why")
            load.go_on(1000)
            disk.free()
            load.go_on()
        assert load.failures() == []
        load.check(client, 60)
        eventually(lambda: client.get("/api/health").json()["status"] == "ok", 30)
        assert "child_ended" not in server.log
    assert server.survivors() == []
