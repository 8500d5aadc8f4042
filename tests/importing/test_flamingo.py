"""A season of a real game: imported once, every rank is what the file says; imported again, nothing changes."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from grandstand.domain.partitions import month_at
from grandstand.storage import queries
from grandstand.supervisor.state import read_state
from tests.importing.board_model import Event, Expected, count_by_type, ranking, read_events, time_of
from tests.importing.conftest import Run
from tests.support.server import Server
from tests.support.waiting import eventually

LOG = Path(
    os.environ.get("FLAMINGO_EVENTS")
    or Path(__file__).resolve().parents[3] / "shared" / "data" / "flamingo-events.ndjson.gz"
)
EVENTS = 28_520
PLAYERS = 1_126

GAME = {"event_type": "game_ended", "field": "score"}
BOARDS: dict[str, dict[str, Any]] = {
    "level": {**GAME, "operator": "best"},
    "spend": {"event_type": "purchase", "field": "price", "operator": "sum"},
    "ad_clicks": {"event_type": "ad_click", "field": None, "operator": "count"},
    "lowest_level": {**GAME, "operator": "best", "order": "asc"},
    "last_level": {**GAME, "operator": "latest"},
    "last_level_rising": {**GAME, "operator": "latest", "order": "asc"},
    "thrifty": {"event_type": "purchase", "field": "price", "operator": "sum", "order": "asc"},
    "iphone_level": {**GAME, "operator": "best", "where": {"platform": "iphone"}},
}
GLOBAL = {**GAME, "operator": "best"}
ALL = {**BOARDS, "global": GLOBAL}

pytestmark = pytest.mark.skipif(not LOG.is_file(), reason=f"the flamingo log is not here: {LOG} (or FLAMINGO_EVENTS)")


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return read_events(LOG)


@pytest.fixture(scope="module")
def client(running_server: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {running_server.keys.server}"}
    with httpx.Client(base_url=running_server.url, headers=headers, trust_env=False, timeout=30) as client:
        for key, definition in BOARDS.items():
            assert client.put(f"/api/leaderboards/{key}", json=definition).status_code == 201
        yield client


@pytest.fixture
def import_log(run_import: Run, running_server: Server, client: httpx.Client) -> Any:
    def run() -> str:
        done = run_import(LOG, "--url", running_server.url, GRANDSTAND_SERVER_KEY=running_server.keys.server)
        assert done.returncode == 0, done.stderr
        eventually(lambda: client.get("/api/health").json()["stream"]["depth"] == 0, 60, "every event is processed")
        return done.stdout

    return run


def database(server: Server) -> "psycopg.Connection[Any]":
    state = read_state(server.data_dir)
    assert state is not None
    connection = psycopg.connect(state.database_url, autocommit=True)
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(state.database_schema)))
    return connection


def walk(client: httpx.Client, key: str, limit: int) -> list[Expected]:
    """Page through the whole board."""
    found: list[Expected] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(f"/api/leaderboards/{key}", params={"limit": limit, **cursor}).raise_for_status().json()
        found += [entry_of(entry) for entry in page["entries"]]
        if page["next_cursor"] is None:
            assert page["total"] == len(found)
            return found
        cursor = {"cursor": page["next_cursor"]}


def entry_of(entry: dict[str, Any]) -> Expected:
    return Expected(entry["rank"], entry["user_id"], entry["score"], time_of(entry["achieved_at"]))


def check_boards(client: httpx.Client, events: list[Event]) -> None:
    for key, definition in ALL.items():
        assert walk(client, key, 1000) == ranking(events, definition), key


def effect(server: Server) -> tuple[list[Any], list[Any]]:
    """Everything that events leave behind: the rows by type, and every entry with its version."""
    with database(server) as connection:
        rows = connection.execute(
            "SELECT event_type, count(*), count(DISTINCT id), count(DISTINCT user_id) FROM events GROUP BY 1 ORDER BY 1"
        ).fetchall()
        entries = connection.execute("SELECT * FROM entries ORDER BY ranking_id, user_id").fetchall()
    return rows, entries


def test_every_event_is_taken_and_every_rank_is_what_the_file_says(
    import_log: Any, client: httpx.Client, running_server: Server, events: list[Event]
) -> None:
    assert f"taken    {EVENTS:,}\n  refused  0\n" in import_log()
    rows, _ = effect(running_server)
    assert {event_type: count for event_type, count, _, _ in rows} == count_by_type(events)
    assert sum(count for _, count, _, _ in rows) == sum(ids for _, _, ids, _ in rows) == EVENTS
    assert len({event["user_id"] for event in events}) == PLAYERS
    check_boards(client, events)


def test_small_pages_show_the_same_board(client: httpx.Client, events: list[Event]) -> None:
    assert walk(client, "spend", 7) == ranking(events, BOARDS["spend"])


@pytest.mark.parametrize("key", sorted(ALL))
def test_a_player_sees_the_same_rank_alone_and_among_neighbours(
    client: httpx.Client, events: list[Event], key: str
) -> None:
    board = ranking(events, ALL[key])
    for place in {0, 1, len(board) // 3, len(board) // 2, len(board) - 2, len(board) - 1}:
        expected = board[place]
        alone = client.get(f"/api/leaderboards/{key}/users/{expected.user_id}").raise_for_status().json()
        assert entry_of(alone) == expected
        assert alone["total"] == len(board)
        assert alone["percentile"] == pytest.approx(100 * (len(board) - place) / len(board))
        near = client.get(f"/api/leaderboards/{key}/users/{expected.user_id}/nearby", params={"above": 2, "below": 3})
        assert [entry_of(entry) for entry in near.json()["entries"]] == board[max(0, place - 2) : place + 4]


def test_a_player_without_a_score_is_not_ranked(client: httpx.Client, events: list[Event]) -> None:
    ranked = {entry.user_id for entry in ranking(events, BOARDS["spend"])}
    poor = next(event["user_id"] for event in events if event["user_id"] not in ranked)
    answer = client.get(f"/api/leaderboards/spend/users/{poor}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_ranked")


def test_the_same_again_has_no_effect(
    import_log: Any, running_server: Server, client: httpx.Client, events: list[Event]
) -> None:
    before = effect(running_server)
    assert f"taken    {EVENTS:,}\n" in import_log()
    assert effect(running_server) == before
    check_boards(client, events)


def test_the_same_again_in_another_month_has_no_effect(
    import_log: Any, running_server: Server, client: httpx.Client, events: list[Event]
) -> None:
    # What a month later looks like to the next import: these events stand in another partition than the open one.
    earlier = month_at(datetime(2020, 2, 1, tzinfo=UTC))
    statement = queries.load("events/create_partition.sql")
    with database(running_server) as connection:
        connection.execute(statement.format(partition=earlier.name, from_=earlier.starts_at, to=earlier.ends_at))
        moved = connection.execute("UPDATE events SET received_at = '2020-02-29T12:00:00Z'")
        assert moved.rowcount == EVENTS
    before = effect(running_server)
    import_log()
    assert effect(running_server) == before
    check_boards(client, events)
