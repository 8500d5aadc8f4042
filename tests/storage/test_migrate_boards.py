"""A deployment of the first schema keeps its boards, entries and ranks through the upgrade."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from grandstand.domain.ranking import member
from grandstand.operations.find_ranking import Part
from grandstand.storage import queries
from grandstand.storage.migrate import migrate
from tests.support.core import event, open_core, standing
from tests.support.engines import SCHEMA
from tests.support.model import Standing

pytestmark = pytest.mark.anyio

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def first_schema(database_url: str) -> None:
    """A database as version 0.1 left it: three boards, one of them deleted and not swept, with entries."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
        connection.execute(f"SET search_path = {SCHEMA}")  # type: ignore[arg-type]
        connection.execute(queries.load("migrations/0001.sql"))  # type: ignore[arg-type]
        connection.execute("CREATE TABLE schema_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO schema_version VALUES ('0001')")
        connection.execute(
            """
            INSERT INTO leaderboards (key, definition, revision, ranking_id, deleted_at)
            SELECT v.key, v.definition::jsonb, v.revision, nextval('ranking_ids'), v.deleted_at::timestamptz
            FROM (VALUES
                ('global', '{"event_type":"game_ended","operator":"best","field":"score","title":"Hall of fame"}',
                    1, NULL),
                ('sum', '{"event_type":"game_ended","operator":"sum","field":"score","order":"asc",
                          "where":{"mode":"ranked"}}', 2, NULL),
                ('gone', '{"event_type":"game_ended","operator":"count"}', 3, '2026-11-01 00:00:00+00')
            ) AS v (key, definition, revision, deleted_at);
            """
        )
        connection.execute("UPDATE ledger SET leaderboards_revision = 3")
        connection.execute(
            """
            INSERT INTO entries (ranking_id, user_id, score, achieved_at, event_id, version, total)
            SELECT b.ranking_id, 'p' || n, n % 7, %(noon)s + n % 3 * interval '1 second', gen_random_uuid(),
                nextval('entry_versions'), CASE b.key WHEN 'sum' THEN n % 7 END
            FROM leaderboards AS b, generate_series(1, 50) AS n
            """.replace("n % 7", "n %% 7").replace("n % 3", "n %% 3"),
            {"noon": NOON},
        )


def expected(direction: int) -> list[Standing]:
    rows = [(number % 7, NOON + timedelta(seconds=number % 3), f"p{number}") for number in range(1, 51)]
    rows.sort(key=lambda row: (direction * row[0], row[1], row[2].encode()))
    return [Standing(rank, user_id, score, at) for rank, (score, at, user_id) in enumerate(rows, start=1)]


async def test_boards_entries_and_ranks_are_kept(
    anyio_backend: object, empty_database_url: str, valkey_url: str, valkey_prefix: str
) -> None:
    first_schema(empty_database_url)
    migrate(empty_database_url, SCHEMA)
    migrate(empty_database_url, SCHEMA)
    async with open_core(empty_database_url, valkey_url, valkey_prefix) as core:
        await core.refresh()
        assert [board.key for board in core.catalog.all()] == ["global", "sum"]
        assert (await core.definer.get("global")).title == "Hall of fame"
        assert (await core.definer.get("sum")).where == {"mode": "ranked"}
        for key, direction in (("global", -1), ("sum", 1)):
            assert standing(await core.reader.page(key)) == expected(direction), "from the entries"
        for _ in range(2):
            await core.new_keeper().keep()
        for key, direction in (("global", -1), ("sum", 1)):
            assert await core.is_complete(key)
            assert standing(await core.reader.page(key)) == expected(direction)
        later = event("p1", payload={"score": 100, "mode": "ranked"}, event_id=UUID(int=1))
        await core.apply(later)
        assert [(await core.reader.user(key, "p1")).score for key in ("global", "sum")] == [100, 101]
        await core.sweeper.sweep()
        left = await core.database.pool.fetch("SELECT DISTINCT key FROM entries JOIN rankings USING (ranking_id) "
                                              "JOIN leaderboards USING (leaderboard_id)")  # fmt: skip
        assert {row["key"] for row in left} == {"global", "sum"}
        await core.definer.reset("global")
        await core.define("new", operator="latest")
        await core.apply(event("ann", 1, at=NOON + timedelta(days=400)))
        assert (await core.reader.page("new")).total == 1


async def test_the_index_of_the_first_version_is_still_good(
    anyio_backend: object, empty_database_url: str, valkey_url: str, valkey_prefix: str
) -> None:
    """The form of members did not change, so nothing has to be rebuilt at the upgrade."""
    first_schema(empty_database_url)
    async with open_core(empty_database_url, valkey_url, valkey_prefix) as core:
        rows = await core.database.pool.fetch(
            "SELECT e.* FROM entries e JOIN leaderboards USING (ranking_id) WHERE key = 'global'"
        )
        ranks, holders, *_ = core.index._keys(rows[0]["ranking_id"])
        for row in rows:
            whole = member(b"", row["achieved_at"], row["user_id"])
            await core.valkey.zadd(ranks, {whole: -row["score"]})
            version = row["version"].to_bytes(6, "big")
            await core.valkey.hset(holders, row["user_id"], version + whole[:8])
        await core.valkey.hset(holders, "", "complete")
    migrate(empty_database_url, SCHEMA)
    async with open_core(empty_database_url, valkey_url, valkey_prefix) as core:
        await core.refresh()
        assert await core.ranking_id("global") == rows[0]["ranking_id"]


async def test_archives_from_before_they_kept_their_definition_are_read_by_that_of_their_board(
    anyio_backend: object, empty_database_url: str, valkey_url: str, valkey_prefix: str
) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCHEMA)))
        connection.execute(f"SET search_path = {SCHEMA}")  # type: ignore[arg-type]
        for version in ("0001", "0002", "0003", "0004"):
            connection.execute(queries.load(f"migrations/{version}.sql"))  # type: ignore[arg-type]
        connection.execute("CREATE TABLE schema_version (version_num varchar(32) PRIMARY KEY)")
        connection.execute("INSERT INTO schema_version VALUES ('0004')")
        connection.execute(
            """
            INSERT INTO leaderboards (key, definition, revision, resets)
            VALUES ('old', '{"event_type":"run","operator":"best","field":"score","keep":["level"]}', 1, ARRAY[now()]);
            INSERT INTO rankings (leaderboard_id, epoch, started_at, ended_at, state, total)
            SELECT leaderboard_id, epoch, '1800-01-01 00:00:00+00', resets[1], 'archived', 1 FROM leaderboards;
            INSERT INTO archived_entries (ranking_id, rank, user_id, score, tie_key, achieved_at, metadata)
            SELECT ranking_id, 1, 'ann', 7, '', '2026-11-24 12:00:00+00', '{"level":3}' FROM rankings;
            UPDATE ledger SET leaderboards_revision = 1;
            """
        )
    migrate(empty_database_url, SCHEMA)
    async with open_core(empty_database_url, valkey_url, valkey_prefix) as core:
        await core.define("old", event_type="run", order="asc")
        [entry] = (await core.reader.page("old", part=Part("all_time"))).entries
        assert (entry.user_id, entry.score, entry.metadata) == ("ann", 7, {"level": 3})
        await core.apply(event("bob", 1, event_type="run"))
        assert [each.total for each in (await core.reader.periods("old")).periods] == [1]
