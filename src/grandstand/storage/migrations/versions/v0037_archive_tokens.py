"""An archive's place says whose it is."""

from grandstand.storage.migrate import run_sql

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    run_sql("0037.sql")
