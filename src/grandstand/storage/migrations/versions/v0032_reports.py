"""Answers of analytics that take too long for a request are counted aside and kept for a while."""

from grandstand.storage.migrate import run_sql

revision = "0032"
down_revision = "0030"


def upgrade() -> None:
    run_sql("0032.sql")
