"""Tournaments with their occurrences, participants, standings and prizes; bans."""

from grandstand.storage.migrate import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql("0004.sql")
