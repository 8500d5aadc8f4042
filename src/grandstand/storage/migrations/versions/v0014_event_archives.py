"""Archives of events that left PostgreSQL."""

from grandstand.storage.migrate import run_sql

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_sql("0014.sql")
