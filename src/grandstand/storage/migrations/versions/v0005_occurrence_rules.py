"""Rules of occurrences, and one start for each."""

from grandstand.storage.migrate import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_sql("0005.sql")
