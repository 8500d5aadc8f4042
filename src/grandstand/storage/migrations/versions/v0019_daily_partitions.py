"""Which days the open partition holds."""

from grandstand.storage.migrate import run_sql

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_sql("0019.sql")
