"""Lists of prizes by status: what is rare stands anywhere in a large table."""

from grandstand.storage.migrate import build_index

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    build_index("prizes", "prizes_by_status", "(status, prize_id)")
