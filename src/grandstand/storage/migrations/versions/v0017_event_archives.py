"""Archives of events that left PostgreSQL."""

from grandstand.storage.migrate import run_sql

revision = "0017"
down_revision = "0013"


def upgrade() -> None:
    run_sql("0017.sql")
