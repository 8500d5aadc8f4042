"""A tree with engines of its own under load: what is killed comes back, and what is replaced is not missed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import valkey

from grandstand.supervisor.state import read_state
from tests.faults.load import Load, client_of, define_ticks, depth
from tests.support.server import Server, end, start_up
from tests.support.waiting import eventually

RATE = 500
CHILDREN = ("--role ingest", "--role worker", "--role scheduler")


STARTUP = """
import os, pathlib, sys, time
release = pathlib.Path(__file__).parent
if (release / "broken").exists() and "ingest" in sys.orig_argv:
    (release / "loading").touch()
    while (release / "held").exists():
        time.sleep(0.02)
    os._exit(1)
"""
"""What each process runs before anything else: of a release that is broken none for HTTP gets any further."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where files say how the program is that whoever starts loads."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "sitecustomize.py").write_text(STARTUP)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, release: Path) -> Iterator[Server]:
    path = os.pathsep.join(filter(None, (str(release), os.environ.get("PYTHONPATH"))))
    server = start_up(Path(tmp_path_factory.mktemp("tree")) / "data", environment={"PYTHONPATH": path})
    yield server
    end(server)


@pytest.fixture
def load(server: Server) -> Load:
    with client_of(server.url, server.keys.server) as client:
        client.delete("/api/leaderboards/ticks")
        define_ticks(client)
    return Load(server.url, server.keys.server, RATE)


def engine(server: Server, words: str) -> psutil.Process:
    return next(process for process in server.named(words) if process.name() != "sh")


def is_replaced(server: Server, words: str, old: list[psutil.Process]) -> bool:
    new = server.named(words)
    return len(new) == len(old) and not {process.pid for process in new} & {process.pid for process in old}


def check(server: Server, load: Load) -> None:
    with client_of(server.url, server.keys.server) as client:
        load.check(client)
        eventually(lambda: client.get("/api/health").json()["status"] == "ok", 30)


def test_valkey_killed_under_load(server: Server, load: Load) -> None:
    with load:
        load.go_on()
        killed_at = time.monotonic()
        victim = engine(server, "valkey-server")
        victim.kill()
        eventually(lambda: (new := engine(server, "valkey-server")) and new.pid != victim.pid, 30)
        load.go_on()
        back_at = time.monotonic()
        load.go_on()
    assert {answer.outcome for answer in load.failures()} <= {"503"}
    assert all(killed_at <= answer.at + answer.seconds and answer.at <= back_at for answer in load.failures())
    check(server, load)


def test_postgresql_killed_under_load(server: Server, load: Load) -> None:
    with load:
        load.go_on()
        victim = engine(server, "postgres -D")
        victim.kill()
        eventually(lambda: (new := engine(server, "postgres -D")) and new.pid != victim.pid, 30)
        load.go_on()
    assert load.failures() == []
    check(server, load)


def test_each_role_is_replaced_at_once_when_it_is_told_to_stop(server: Server, load: Load) -> None:
    ended_before = server.log.count("child_ended")
    with load:
        for words in CHILDREN:
            load.go_on()
            old = server.named(words)
            for process in old:
                process.send_signal(signal.SIGTERM)
            eventually(lambda words=words, old=old: is_replaced(server, words, old), 30, f"{words} is replaced")
            load.go_on()
    assert load.failures(attempts=2) == [], "a client that tries twice sees no error"
    assert server.log.count("child_ended") == ended_before, "nothing waits before it is started again"
    check(server, load)


def test_a_rolling_restart_is_not_noticed(server: Server, load: Load) -> None:
    old = {words: server.named(words) for words in CHILDREN}
    engines = [engine(server, words).pid for words in ("postgres -D", "valkey-server")]
    deepest = 0
    restarts = server.log.count("children_restarted")
    with load, client_of(server.url, server.keys.server) as client:
        load.go_on()
        os.kill(server.pid, signal.SIGUSR2)

        def is_done() -> bool:
            nonlocal deepest
            deepest = max(deepest, depth(client) or 0)
            return server.log.count("children_restarted") > restarts

        eventually(is_done, 60, "all children are replaced")
        load.go_on()
    assert load.failures(attempts=2) == []
    for words, processes in old.items():
        assert is_replaced(server, words, processes), words
    assert [engine(server, words).pid for words in ("postgres -D", "valkey-server")] == engines
    assert deepest < load.acknowledged / 4, "events go on being processed"
    check(server, load)


def test_what_does_not_load_replaces_nobody(server: Server, load: Load, release: Path) -> None:
    old = {words: server.named(words) for words in CHILDREN}
    refused = server.log.count("children_not_restarted")
    broken, held, loading = (release / name for name in ("broken", "held", "loading"))
    with load:
        load.go_on()
        broken.touch()
        held.touch()
        try:
            os.kill(server.pid, signal.SIGUSR2)
            eventually(loading.exists, 60, "the restart begins")
            # What is released in the middle of one is loaded by another.
            os.kill(server.pid, signal.SIGUSR2)
            held.unlink()
            eventually(
                lambda: server.log.count("children_not_restarted") > refused + 1, 60, "both restarts are given up"
            )
        finally:
            held.unlink(missing_ok=True)
            broken.unlink()
        load.go_on()
    assert load.failures() == []
    assert {words: server.named(words) for words in CHILDREN} == old
    check(server, load)


def test_the_stream_has_its_limit_well_before_valkey(server: Server) -> None:
    state = read_state(server.data_dir)
    assert state is not None
    with valkey.Valkey.from_url(state.valkey_url) as direct:
        memory = direct.info("memory")
        assert memory["maxmemory_policy"] == "noeviction"
        assert 0 < memory["maxmemory"] < psutil.virtual_memory().total
        assert direct.config_get("append*")["appendfsync"] == "always"


def test_a_stream_that_vanishes_is_noticed_at_once(server: Server) -> None:
    state = read_state(server.data_dir)
    assert state is not None
    workers = server.named("--role worker")
    with client_of(server.url, server.keys.server) as client, valkey.Valkey.from_url(state.valkey_url) as direct:
        assert client.get("/api/health").json()["stream"]["loss"] is None
        told = [f'grandstand_stream_losses_total{{reason="{reason}"}}' for reason in ("blocks_missing", "vanished")]
        before = client.get("/metrics").text
        assert all(f"{name} 0.0" in before for name in told), "an increase can only be seen from 0 on"
        for worker in workers:
            worker.suspend()
        try:
            events = [{"event_type": "tick", "user_id": "ann"}] * 7
            assert client.post("/api/events", json=events).status_code == 202

            def is_seen() -> bool:
                health = client.get("/api/health").json()
                return health["status"] == "ok" and health["stream"]["depth"] == 7

            eventually(is_seen)
            direct.delete(f"{state.valkey_prefix}:{{events}}:low")
            health = eventually(lambda: (h := client.get("/api/health").json())["status"] == "degraded" and h)
            assert health["stream"]["loss"]["reason"] == "blocks_missing"
            assert health["stream"]["loss"]["events_at_risk"] == 7
            assert health["stream"]["depth"] == 0, "what is gone waits no more"
            # Each process sees it for itself: whoever answers may be a moment ahead of the scheduler, who says it.
            eventually(lambda: server.log.count("stream_lost") == 1)
            direct.flushall()
            eventually(
                lambda: client.get("/api/health").json()["stream"]["loss"]["reason"] == "vanished", what="it is told"
            )
        finally:
            for worker in workers:
                worker.resume()
        eventually(lambda: server.log.count("stream_lost") == 2)
        eventually(lambda: all(f"{name} 1.0" in client.get("/metrics").text for name in told))
        assert client.post("/api/events", json=events).status_code == 202
        eventually(lambda: depth(client) == 0)
