"""Leases and webhooks: the outbox, endpoints, deliveries."""

from grandstand.storage.migrate import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql("0003.sql")
