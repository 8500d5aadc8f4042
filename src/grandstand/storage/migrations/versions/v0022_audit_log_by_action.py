"""The audit log of one action."""

from grandstand.storage.migrate import build_index

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    build_index("audit_log", "audit_log_by_action", "(action, audit_id)")
