"""The audit log: who changed what."""

from grandstand.storage.migrate import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql("0007.sql")
