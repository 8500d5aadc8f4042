"""Occurrences of a month are found by whether they overlap it, however long they last."""

from grandstand.storage.migrate import build_index

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    build_index("occurrences", "occurrences_by_time", "USING gist (tstzrange(starts_at, ends_at))")
