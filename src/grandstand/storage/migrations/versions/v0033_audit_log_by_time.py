"""The audit log of a time that is long past."""

from grandstand.storage.migrate import build_index

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    build_index("audit_log", "audit_log_by_time", "(recorded_at, audit_id)")
