"""What keys may do, how long, and when they were used last; player tokens that were revoked."""

from grandstand.storage.migrate import run_sql

revision = "0007"
down_revision = "0004"


def upgrade() -> None:
    run_sql("0007.sql")
