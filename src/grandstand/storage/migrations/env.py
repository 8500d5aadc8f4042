"""Alembic's entry: it runs inside `grandstand.storage.migrate`, which hands over the connection and the schema."""

from alembic import context
from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
schema: str = context.config.attributes["schema"]

context.configure(
    connection=connection,
    version_table="schema_version",
    version_table_schema=schema,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
