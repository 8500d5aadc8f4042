"""Which days the partition of queued events holds."""

from grandstand.storage.migrate import run_sql

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_sql("0020.sql")
