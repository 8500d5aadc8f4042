"""Tables that grow all day are vacuumed and analyzed less often, and of fewer columns."""

from grandstand.storage.migrate import run_sql

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    run_sql("0036.sql")
