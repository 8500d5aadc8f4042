"""Rollups of events by hour and day."""

from grandstand.storage.migrate import run_sql

revision = "0018"
down_revision = "0014"


def upgrade() -> None:
    run_sql("0018.sql")
