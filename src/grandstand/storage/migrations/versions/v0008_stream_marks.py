"""What was last seen of the event stream, and its losses."""

from grandstand.storage.migrate import run_sql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_sql("0008.sql")
