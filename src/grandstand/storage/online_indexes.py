"""Builds an index on a table that is in use: nobody waits for it, and a build that was broken off is begun anew."""

import psycopg
from psycopg import sql

from grandstand.storage import queries
from grandstand.storage.migration_waits import LOCK_WAIT_MAX_SECONDS

_GONE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedObject,
    # What it says of an index whose table is no partition any more.
    psycopg.errors.ObjectNotInPrerequisiteState,
)
"""What PostgreSQL says of a partition, or of its part of an index, that left after it was listed."""


class IndexBuilder:
    """Builds indexes for one run of the migrations, on a connection of its own: it can be in no transaction."""

    def __init__(self, connection: psycopg.Connection, schema: str, name: str, patience_seconds: float) -> None:
        self._connection = connection
        self._schema = schema
        self._name = name
        self._patience_seconds = patience_seconds

    def build(self, table: str, index: str, definition: str) -> None:
        """Build `index` on `table` unless it is there; of a partitioned table it is built on one partition at a time.

        `definition` is what follows the table in CREATE INDEX: `(user_id, received_at) WHERE …`.

        Raises:
            psycopg.errors.LockNotAvailable: somebody stood in the way for too long; what was built stays.
        """
        is_partitioned = self._ask("is_partitioned", table=table)
        if not is_partitioned:
            self._build_one(table, index, definition)
            return
        if self._ask("look_at_index", index=index) is None:
            # Holds nothing yet, but partitions that are made or attached from now on have their part of it.
            self._wait_at_most(LOCK_WAIT_MAX_SECONDS)
            self._run("begin_index", index=index, table=table, definition=definition)
        for partition, part in self._list_unindexed(index):
            try:
                self._build_one(partition, part, definition)
                self._wait_at_most(LOCK_WAIT_MAX_SECONDS)
                self._run("attach_index", index=index, part=part)
            except _GONE:
                # Retention takes partitions away meanwhile. One that is still there has some other trouble.
                if any(partition == left for left, _ in self._list_unindexed(index)):
                    raise

    def _list_unindexed(self, index: str) -> list[tuple[str, str]]:
        values = {"schema": self._schema, "index": index}
        rows = self._connection.execute(queries.load("migrate/list_unindexed.sql"), values).fetchall()
        return [(partition, part) for partition, part in rows]

    def _build_one(self, table: str, index: str, definition: str) -> None:
        is_whole = self._ask("look_at_index", index=index)
        if is_whole:
            return
        # Waiting for older transactions holds nobody up here.
        self._wait_at_most(self._patience_seconds)
        if is_whole is not None:
            self._run("drop_index", index=index)
        self._run("build_index", index=index, table=table, definition=definition)

    def _wait_at_most(self, seconds: float) -> None:
        values = {"name": self._name, "lock_timeout": str(int(seconds * 1000))}
        self._connection.execute(queries.load("migrate/begin_session.sql"), values)

    def _ask(self, query: str, **values: str) -> bool | None:
        row = self._connection.execute(
            queries.load(f"migrate/{query}.sql"), {"schema": self._schema, **values}
        ).fetchone()
        return None if row is None else bool(row[0])

    def _run(self, query: str, *, index: str, definition: str = "", **tables: str) -> None:
        names = {name: sql.Identifier(self._schema, value) for name, value in tables.items()}
        # A new index is made where its table is, so its name stands alone there.
        own = sql.Identifier(index) if "table" in tables else sql.Identifier(self._schema, index)
        statement = sql.SQL(queries.load(f"migrate/{query}.sql"))
        self._connection.execute(statement.format(index=own, definition=sql.SQL(definition), **names))
