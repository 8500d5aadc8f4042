"""What tests of the console do beside the browser: they send events, bury some, and confirm what cannot be undone."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from playwright.sync_api import Page

from tests.console.conftest import Console, run
from tests.support.poison import append_to


def send(console: Console, *events: dict[str, object]) -> None:
    console.api("POST", "/api/events", list(events))


def score(user_id: str, points: int, **payload: object) -> dict[str, object]:
    return {"event_type": "game_ended", "user_id": user_id, "payload": {"score": points, **payload}}


def bury(console: Console, *texts: bytes) -> None:
    """Put events into the stream past every check."""
    run(lambda: append_to(console.server, texts))


def confirm(page: Page, name: str, button: str) -> None:
    """Ask for something that cannot be taken back, and say yes."""
    page.get_by_role("button", name=name, exact=True).first.click()
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).click()


@contextmanager
def serve_page(html: str) -> Iterator[str]:
    """Serve a page as another site does: at an origin that is not the product's."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
