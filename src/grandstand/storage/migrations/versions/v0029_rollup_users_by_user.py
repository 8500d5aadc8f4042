"""The days of a user are found by the user: which was before a new one, and which comes after it."""

from grandstand.storage.migrate import build_index

revision = "0029"
down_revision = "0026"


def upgrade() -> None:
    build_index("rollup_users", "rollup_users_by_user", "(user_id, day) WHERE event_type = ''")
