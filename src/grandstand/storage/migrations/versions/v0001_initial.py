"""Events in monthly partitions, leaderboards with their entries, keys and devices."""

from grandstand.storage.migrate import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql("0001.sql")
