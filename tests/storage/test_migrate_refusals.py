"""Databases that migrations may not change: each is refused with a sentence, and what may be done is done."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from grandstand.storage.migrate import MigrationRefusedError, migrate
from tests.support.engines import SCHEMA


@pytest.fixture
def role(empty_database_url: str) -> Iterator[sql.Identifier]:
    """A user who may connect and nothing else."""
    name = sql.Identifier(f"weak_{uuid4().hex[:8]}")
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
        yield name
        connection.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(name))
        connection.execute(sql.SQL("DROP ROLE {}").format(name))


def url_of(role: sql.Identifier, database_url: str) -> str:
    scheme, _, rest = database_url.partition("://")
    return f"{scheme}://{role.as_string().strip(chr(34))}@{rest.partition('@')[2]}"


def test_a_user_without_rights_is_told_so(empty_database_url: str, role: sql.Identifier) -> None:
    with pytest.raises(MigrationRefusedError, match="does not let this user set up the schema grandstand: permission"):
        migrate(url_of(role, empty_database_url), SCHEMA)


def test_a_schema_of_somebody_else_is_refused(empty_database_url: str, role: sql.Identifier) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute("CREATE SCHEMA grandstand")
    with pytest.raises(MigrationRefusedError, match="permission denied"):
        migrate(url_of(role, empty_database_url), SCHEMA)


def test_a_schema_made_beforehand_needs_no_right_to_make_one(empty_database_url: str, role: sql.Identifier) -> None:
    with psycopg.connect(empty_database_url) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA grandstand AUTHORIZATION {}").format(role))
    migrate(url_of(role, empty_database_url), SCHEMA)


def test_a_read_only_database_is_refused(empty_database_url: str) -> None:
    with pytest.raises(MigrationRefusedError, match="read-only"):
        migrate(empty_database_url + "&options=-c%20default_transaction_read_only%3Don", SCHEMA)


def test_a_schema_of_a_newer_version_is_left_alone(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE grandstand.schema_version SET version_num = '9999', works_from = '9998'")
    with pytest.raises(MigrationRefusedError, match="migrated to 9999 by a newer version of Grandstand, and this one"):
        migrate(database_url, SCHEMA)
