"""Erasure of players."""

from grandstand.storage.migrate import run_sql

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    run_sql("0013.sql")
