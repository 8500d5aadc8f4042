"""Days of which users of 7 and 30 days, and retention, follow without a look at the users."""

from grandstand.storage.migrate import run_sql

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    run_sql("0030.sql")
