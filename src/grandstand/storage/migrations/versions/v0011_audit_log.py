"""The audit log: who changed what."""

from grandstand.storage.migrate import run_sql

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_sql("0011.sql")
