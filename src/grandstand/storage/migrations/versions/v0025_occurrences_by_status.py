"""Occurrences by status: the few that run among all that ended."""

from grandstand.storage.migrate import build_index

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    build_index("occurrences", "occurrences_by_status", "(status, tournament_id)")
