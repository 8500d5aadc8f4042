"""Operators of the console and their sessions."""

from grandstand.storage.migrate import run_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_sql("0015.sql")
