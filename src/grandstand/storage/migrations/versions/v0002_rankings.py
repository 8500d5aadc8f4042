"""Rankings: a board's entries by period, segment and bucket; tie-breaks, kept metadata, archives, display names."""

from grandstand.storage.migrate import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_sql("0002.sql")
