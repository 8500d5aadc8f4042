"""Brings the database's schema to this version. Alembic keeps the order; the statements stand in `sql/migrations/`.

Beside a deployment that goes on working: see docs/decisions/0036.
"""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import structlog
from alembic import command, context, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from grandstand.domain.errors import first_line
from grandstand.storage import queries
from grandstand.storage.migration_waits import LOCK_WAIT_MAX_SECONDS, BlockerWatch, Patience
from grandstand.storage.online_indexes import IndexBuilder
from grandstand.storage.schema_version import SchemaVersion

SCRIPTS = Path(__file__).parent / "migrations"
PATIENCE_SECONDS = 60.0
_CONNECT_TIMEOUT_SECONDS = 5
_ASK_SECONDS = 0.2
"""Between two looks whether another migrator has ended."""

_BUILDER = "index_builder"
_IN_THE_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

_log = structlog.get_logger(__name__)


class MigrationRefusedError(Exception):
    """The database cannot be brought to this version; the message is one sentence that says why."""


def migrate(
    database_url: str,
    schema: str,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    scripts: Path = SCRIPTS,
    target: str = "head",
) -> None:
    """Create the schema when it is missing and run the migrations that it has not seen, one transaction each.

    Several processes may call this at once: one migrates, the others wait and find nothing to do. A schema of a newer
    version that this one works with is left as it is.

    Args:
        database_url: where PostgreSQL is.
        schema: the schema that the tables stand in.
        patience_seconds: for how long each migration is tried again while somebody holds a lock that it needs. A try
            waits for 2 s at most, and so does whoever queues behind it.
        scripts: Alembic's folder.
        target: the version to come to.

    Raises:
        psycopg.OperationalError: the database cannot be reached.
        MigrationRefusedError: this user may not change it, it is a replica, a newer version has been here, or somebody
            held a lock for too long; migrations that were run before that stay.

    """
    try:
        _migrate(database_url, schema, patience_seconds, scripts, target)
    except DBAPIError as error:
        # The driver's own error says the same in its own words.
        if isinstance(error.orig, psycopg.errors.InsufficientPrivilege | psycopg.errors.ReadOnlySqlTransaction):
            raise _refused(schema, error.orig) from error
        if isinstance(error.orig, psycopg.OperationalError):
            raise error.orig from error
        raise
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction) as error:
        raise _refused(schema, error) from error


def _migrate(database_url: str, schema: str, patience_seconds: float, scripts: Path, target: str) -> None:
    with _connect(database_url) as guard, _alone(guard, schema):
        found = _version(database_url, schema)
        head = ScriptDirectory.from_config(_config(scripts)).get_current_head()
        if found is not None and head is not None and found.version > head:
            if not found.fits:
                raise MigrationRefusedError(f"The schema {schema} {found.reason}.")
            _log.warning("schema_is_newer", schema=schema, version=found.version, works_from=found.works_from)
            return
        _make_schema(database_url, schema)
        _upgrade(database_url, schema, patience_seconds, scripts, target)


@contextmanager
def _alone(guard: psycopg.Connection, schema: str) -> Iterator[None]:
    """Wait until nobody else migrates the schema, and keep others out.

    Whoever waits asks again and again, in a transaction each: one that waited for the lock would keep its snapshot, and
    the build of an index, by whom it waits for, would wait for that.
    """
    begin = {"schema": schema, "name": "grandstand migrate", "lock_timeout": "0"}
    while True:
        # A lock of the transaction, which keeps nothing else open: behind a pooler nothing but that keeps a session.
        with guard.transaction():
            guard.execute(queries.load("migrate/begin.sql"), begin)
            asked = guard.execute("SELECT pg_try_advisory_xact_lock(%s)", (_lock_number(schema),)).fetchone()
            # A query with parameters keeps its snapshot until the next statement.
            guard.execute("SET LOCAL lock_timeout TO 0")
            if asked == (True,):
                yield
                return
        time.sleep(_ASK_SECONDS)


def _connect(database_url: str) -> psycopg.Connection:
    # Nothing is prepared: the next transaction may run in another session.
    return psycopg.connect(
        database_url, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_SECONDS, prepare_threshold=None
    )


def _version(database_url: str, schema: str) -> SchemaVersion | None:
    with _connect(database_url) as connection, connection.transaction():
        begin = {"schema": schema, "name": "grandstand migrate", "lock_timeout": "0"}
        connection.execute(queries.load("migrate/begin.sql"), begin)
        if connection.execute(queries.load("migrate/is_set_up.sql")).fetchone() == (False,):
            return None
        row = connection.execute(queries.load("ledger/read_schema_version.sql")).fetchone()
        return None if row is None else SchemaVersion(*row)


def _make_schema(database_url: str, schema: str) -> None:
    with _connect(database_url) as connection:
        # Asked first: creating needs a right that the user of a schema made by somebody else may lack.
        if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (schema,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))


def _refused(schema: str, error: psycopg.Error) -> MigrationRefusedError:
    return MigrationRefusedError(f"PostgreSQL does not let this user set up the schema {schema}: {first_line(error)}.")


def run_sql(name: str) -> None:
    """Run the statements of `sql/migrations/<name>` inside the migration that is under way."""
    op.execute(text(queries.load(f"migrations/{name}").replace(":", r"\:")))


def build_index(table: str, index: str, definition: str) -> None:
    """Build an index on a table that is in use; the only thing that its migration does. See `IndexBuilder.build`."""
    # The build would wait for the transaction of the migration.
    with op.get_context().autocommit_block():
        context.config.attributes[_BUILDER].build(table, index, definition)


def _upgrade(database_url: str, schema: str, patience_seconds: float, scripts: Path, target: str) -> None:
    name = f"grandstand migrate {schema}"
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(database_url, connect_timeout=_CONNECT_TIMEOUT_SECONDS, prepare_threshold=None),
        poolclass=NullPool,
    )
    begin = {"schema": schema, "name": name, "lock_timeout": str(int(LOCK_WAIT_MAX_SECONDS * 1000))}

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # In every transaction, for a pooler may run each in another session.
        connection.exec_driver_sql(queries.load("migrate/begin.sql"), begin)

    config = _config(scripts)
    patience = Patience(patience_seconds)
    with BlockerWatch(database_url, name) as watch:
        while True:
            try:
                with engine.connect() as connection, _connect(database_url) as building:
                    builder = IndexBuilder(building, schema, name, patience_seconds)
                    config.attributes.update({"connection": connection, "schema": schema, _BUILDER: builder})
                    command.upgrade(config, target)
            except (DBAPIError, *_IN_THE_WAY) as error:
                if not isinstance(getattr(error, "orig", error), _IN_THE_WAY):
                    raise
                found = _version(database_url, schema)
                version = "its beginning" if found is None else found.version
                _log.warning("migration_waits", schema=schema, version=version, blockers=watch.describe())
                if not patience.pause(version):
                    raise MigrationRefusedError(
                        f"The schema {schema} is at {version}, and the next migration got no lock within "
                        f"{patience_seconds:g} s because of {watch.describe()}; nothing is half done: end that, and "
                        "migrate again."
                    ) from error
            except CommandError as error:
                raise MigrationRefusedError(f"The schema {schema} has a version that nobody knows: {error}.") from error
            else:
                return


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _lock_number(schema: str) -> int:
    digest = hashlib.blake2b(f"grandstand migrate {schema}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
