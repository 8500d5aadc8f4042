"""A guard of the audit log that knows what an erasure changes, and lets nothing else pass."""

from grandstand.storage.migrate import run_sql

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    run_sql("0017.sql")
