"""Brings the database's schema to this version. Alembic keeps the order; the statements stand in `sql/migrations/`."""

import hashlib
from pathlib import Path

import psycopg
from alembic import command, op
from alembic.config import Config
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.pool import NullPool

from grandstand.storage import queries

_SCRIPTS = Path(__file__).parent / "migrations"
_CONNECT_TIMEOUT_SECONDS = 5


class MigrationRefusedError(Exception):
    """The database cannot be brought to this version; the message is one sentence that says why."""


def migrate(database_url: str, schema: str) -> None:
    """Create the schema when it is missing and run the migrations that it has not seen, one transaction each.

    Several processes may call this at once: one migrates, the others wait and find nothing to do.

    Raises:
        psycopg.OperationalError: the database cannot be reached.
        MigrationRefusedError: this user may not change it, it is a replica, or a newer version has been here.

    """
    try:
        _migrate(database_url, schema)
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise _refused(schema, error) from error
    except ProgrammingError as error:
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege):
            raise _refused(schema, error.orig) from error
        raise
    except CommandError as error:
        raise MigrationRefusedError(
            f"The schema {schema} was made by a newer version of Grandstand: run that one."
        ) from error


def _migrate(database_url: str, schema: str) -> None:
    with _connect(database_url) as guard, guard.transaction():
        # A lock of the transaction, which keeps nothing else open: behind a pooler nothing but that keeps a session.
        guard.execute("SET LOCAL idle_in_transaction_session_timeout TO 0")
        guard.execute("SELECT pg_advisory_xact_lock(%s)", (_lock_number(schema),))
        _make_schema(database_url, schema)
        _upgrade(database_url, schema)


def _connect(database_url: str) -> psycopg.Connection:
    # Nothing is prepared: the next transaction may run in another session.
    return psycopg.connect(
        database_url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_SECONDS, prepare_threshold=None
    )


def _make_schema(database_url: str, schema: str) -> None:
    with _connect(database_url) as connection:
        # Asked first: creating needs a right that the user of a schema made by somebody else may lack.
        if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _refused(schema: str, error: psycopg.Error) -> MigrationRefusedError:
    reason = str(error).strip().splitlines()[0]
    return MigrationRefusedError(f"PostgreSQL does not let this user set up the schema {schema}: {reason}.")


def run_sql(name: str) -> None:
    """Run the statements of `sql/migrations/<name>` inside the migration that is under way."""
    op.execute(text(queries.load(f"migrations/{name}").replace(":", r"\:")))


def _upgrade(database_url: str, schema: str) -> None:
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url, connect_timeout=_CONNECT_TIMEOUT_SECONDS, prepare_threshold=None),
        poolclass=NullPool,
    )

    @event.listens_for(engine, "begin")
    def _see_schema(connection: Connection) -> None:
        # In every transaction, for a pooler may run each in another session.
        connection.exec_driver_sql("SELECT set_config('search_path', %s, true)", (schema,))

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
