"""An index by which the occurrences of a month are found."""

from grandstand.storage.migrate import run_sql

revision = "0021"
down_revision = "0016"


def upgrade() -> None:
    run_sql("0021.sql")
