"""From when on a board counts events, when a ban was lifted, which windows were moved: to recompute entries by."""

from grandstand.storage.migrate import run_sql

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql("0007.sql")
