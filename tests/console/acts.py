"""What tests of the console do beside the browser: they send events, bury some, and confirm what cannot be undone."""

from datetime import UTC, datetime

from playwright.sync_api import Page

from grandstand.domain.event_model import join_entry
from grandstand.storage.event_stream import HIGH, EventStream
from grandstand.storage.valkey import open_valkey
from grandstand.supervisor.state import read_state
from tests.console.conftest import Console, run


def send(console: Console, *events: dict[str, object]) -> None:
    console.api("POST", "/api/events", list(events))


def score(user_id: str, points: int, **payload: object) -> dict[str, object]:
    return {"event_type": "game_ended", "user_id": user_id, "payload": {"score": points, **payload}}


def bury(console: Console, *texts: bytes) -> None:
    """Put events into the stream past every check."""
    state = read_state(console.server.data_dir)
    assert state is not None

    async def append() -> None:
        valkey = open_valkey(state.valkey_url, timeout_seconds=5)
        try:
            for text in texts:
                await EventStream(valkey, "gs").append_encoded(HIGH, 1, join_entry([text]), datetime.now(UTC))
        finally:
            await valkey.aclose()

    run(append)


def confirm(page: Page, name: str, button: str) -> None:
    """Ask for something that cannot be taken back, and say yes."""
    page.get_by_role("button", name=name, exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()
