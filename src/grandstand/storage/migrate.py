"""Brings the database's schema to this version. Alembic keeps the order; the statements stand in `sql/migrations/`."""

import hashlib
from pathlib import Path

import psycopg
from alembic import command, op
from alembic.config import Config
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from grandstand.storage import queries

_SCRIPTS = Path(__file__).parent / "migrations"
_CONNECT_TIMEOUT_SECONDS = 5


def migrate(database_url: str, schema: str) -> None:
    """Create the schema when it is missing and run the migrations that it has not seen, one transaction each.

    Several processes may call this at once: one migrates, the others wait and find nothing to do.

    Raises:
        psycopg.OperationalError: the database cannot be reached.

    """
    with psycopg.connect(database_url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_SECONDS) as guard:
        guard.execute("SELECT pg_advisory_lock(%s)", (_lock_number(schema),))
        guard.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        _upgrade(database_url, schema)


def run_sql(name: str) -> None:
    """Run the statements of `sql/migrations/<name>` inside the migration that is under way."""
    op.execute(text(queries.load(f"migrations/{name}").replace(":", r"\:")))


def _upgrade(database_url: str, schema: str) -> None:
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(
            database_url, connect_timeout=_CONNECT_TIMEOUT_SECONDS, options=f"-c search_path={schema}"
        ),
        poolclass=NullPool,
    )
    config = _config()
    with engine.connect() as connection:
        config.attributes.update(connection=connection, schema=schema)
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _lock_number(schema: str) -> int:
    digest = hashlib.blake2b(f"grandstand migrate {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
