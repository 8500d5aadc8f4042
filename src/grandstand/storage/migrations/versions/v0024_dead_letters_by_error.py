"""Dead letters of one error."""

from grandstand.storage.migrate import build_index

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    build_index("dead_letters", "dead_letters_by_error", "(error, dead_letter_id)")
