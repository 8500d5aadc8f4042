"""Migrations: once, whoever runs them and how often; to the same schema every time."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grandstand.settings import SettingsError, load_settings
from grandstand.storage.migrate import migrate
from tests.support.engines import SCHEMA

COLUMNS = """
SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default, is_identity
FROM information_schema.columns WHERE table_schema = %(schema)s ORDER BY 1, 2
"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = %(schema)s ORDER BY 1, 2"
CONSTRAINTS = """
SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid)
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace WHERE n.nspname = %(schema)s ORDER BY 1, 2
"""
SEQUENCES = """
SELECT sequencename, data_type::text, start_value, increment_by, cycle, cache_size, last_value
FROM pg_sequences WHERE schemaname = %(schema)s ORDER BY 1
"""
TABLES = """
SELECT c.relname, c.relkind, c.reloptions, pg_get_partkeydef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') ORDER BY 1
"""
VERSION = "SELECT version_num FROM {schema}.schema_version"
LEDGER = "SELECT * FROM {schema}.ledger"


def describe(url: str, schema: str = SCHEMA) -> dict[str, list[tuple[object, ...]]]:
    """Everything that the migrations decide, with the schema's name taken out."""
    found = {}
    with psycopg.connect(url) as connection:
        for query in (TABLES, COLUMNS, INDEXES, CONSTRAINTS, SEQUENCES, VERSION, LEDGER):
            rows = connection.execute(query.replace("{schema}", schema), {"schema": schema}).fetchall()  # type: ignore[arg-type]
            found[query] = [
                tuple(cell.replace(f"{schema}.", "") if isinstance(cell, str) else cell for cell in row) for row in rows
            ]
    return found


def test_a_second_run_changes_nothing(empty_database_url: str) -> None:
    migrate(empty_database_url, SCHEMA)
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("INSERT INTO grandstand.deployment_secrets VALUES ('kept', 'x')")
    before = describe(empty_database_url)
    assert before[TABLES]
    migrate(empty_database_url, SCHEMA)
    assert describe(empty_database_url) == before
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT name FROM grandstand.deployment_secrets").fetchall() == [("kept",)]


def test_several_at_once_come_to_a_fresh_schema(empty_database_url: str, database_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        runs = [threads.submit(migrate, empty_database_url, SCHEMA) for _ in range(4)]
    assert [run.result() for run in runs] == [None] * 4
    assert describe(empty_database_url) == describe(database_url)


def test_deployments_share_a_database_by_schema(empty_database_url: str) -> None:
    migrate(empty_database_url, "one")
    migrate(empty_database_url, "two")
    assert describe(empty_database_url, "one") == describe(empty_database_url, "two")
    with psycopg.connect(empty_database_url) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert tables == (0,)


def test_a_database_out_of_reach_is_said_so() -> None:
    with pytest.raises(psycopg.OperationalError):
        migrate("postgresql://nobody@127.0.0.1:1/none", SCHEMA)


@pytest.mark.parametrize(
    "schema", ["", "a%b", 'a"b', "a'b", "a b", "a;b", "A", "1a", "a-b", "a.b", "é", "a\n", "a" * 64, "a,public"]
)
def test_other_schema_names_do_not_pass_the_settings(schema: str) -> None:
    with pytest.raises(SettingsError, match="database-schema"):
        load_settings(database_schema=schema)


@given(st.text(max_size=70))
def test_schema_names_that_pass_need_no_quotes(schema: str) -> None:
    try:
        passed = load_settings(database_schema=schema).database_schema
    except SettingsError:
        return
    assert passed.isascii()
    assert passed.isidentifier()
    assert passed == passed.lower()
    assert len(passed) < 64
