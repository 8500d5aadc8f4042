"""Events that are kept apart because they are not plausible."""

from grandstand.storage.migrate import run_sql

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_sql("0012.sql")
