"""A program that knows one event stream does not lead while there are several."""

from grandstand.storage.migrate import run_sql

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    run_sql("0035.sql")
