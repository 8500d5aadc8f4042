"""Which older programs work with the schema."""

from grandstand.storage.migrate import run_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    run_sql("0018.sql")
