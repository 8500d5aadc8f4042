"""A list of the event streams, each with how it was last seen."""

from grandstand.storage.migrate import run_sql

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    run_sql("0034.sql")
