"""Where the events of a board's epoch begin, and the definition that an archived period was made under."""

from grandstand.storage.migrate import run_sql

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql("0010.sql")
