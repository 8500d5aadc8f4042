"""What keys may do, how long, and when they were used last; player tokens that were revoked."""

from grandstand.storage.migrate import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql("0006.sql")
