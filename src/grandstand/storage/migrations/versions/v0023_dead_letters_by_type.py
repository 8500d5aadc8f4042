"""Dead letters of one event type."""

from grandstand.storage.migrate import build_index

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    build_index("dead_letters", "dead_letters_by_type", "(event_type, dead_letter_id)")
