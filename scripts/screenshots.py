"""Pictures of every page of the console and of a public board: `python scripts/screenshots.py FOLDER`.

Starts a deployment of its own, fills it, logs in and takes each page in light, in dark and as wide as a phone. It
needs the programs of `make programs`.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright
from programs import program

PASSWORD = "screenshots-only"
KEY = "gs_admin_screenshots-0123456789"
LONG_ID = "player-" + "0123456789abcdef" * 6
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    "phone": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}, "device_scale_factor": 2},
}
EMPTY = {
    "overview": "/console",
    "leaderboard": "/console/leaderboards/global",
    "tournaments": "/console/tournaments",
    "calendar": "/console/tournaments/-/calendar",
    "quarantine": "/console/quarantine",
    "analytics-players": "/console/analytics",
    "analytics-retention": "/console/analytics/retention",
    "analytics-funnel": "/console/analytics/funnel",
    "webhooks": "/console/webhooks",
    "board": "/boards/global",
}
"""Pages of a product in which nothing has happened."""

PAGES = {
    "leaderboards": "/console/leaderboards",
    "leaderboard": "/console/leaderboards/weekly-race",
    "leaderboard-player": "/console/leaderboards/weekly-race?user_id=player-07",
    "leaderboard-new": "/console/leaderboards/-/new",
    "leaderboard-edit": "/console/leaderboards/weekly-race/edit",
    "leaderboard-replay": "/console/leaderboards/weekly-race/replay",
    "tournaments": "/console/tournaments",
    "calendar": "/console/tournaments/-/calendar",
    "tournament": "/console/tournaments/friday-cup",
    "tournament-new": "/console/tournaments/-/new",
    "prizes": "/console/prizes",
    "player": "/console/players?user_id=player-07",
    "players": "/console/players",
    "events": "/console/events?event_type=game_ended",
    "quarantine": "/console/quarantine",
    "dead-letters": "/console/dead-letters",
    "analytics-players": "/console/analytics",
    "analytics-retention": "/console/analytics/retention",
    "analytics-funnel": "/console/analytics/funnel?step_1=session_started&step_2=game_ended&step_3=purchase",
    "analytics-events": "/console/analytics/events",
    "analytics-sessions": "/console/analytics/sessions",
    "operation": "/console/operation",
    "keys": "/console/keys",
    "webhooks": "/console/webhooks",
    "operators": "/console/operators",
    "account": "/console/account",
    "account-code": "/console/account/code",
    "audit-log": "/console/audit-log",
    "settings": "/console/settings",
    "missing": "/console/leaderboards/nothing",
    "board": "/boards/weekly-race",
    "board-embedded": "/boards/weekly-race?embed=1",
    "player-long": f"/console/players?user_id={LONG_ID}",
    "events-refused": "/console/events?event_type=game_ended&from=yesterday",
    # Last, so that it has a minute to show.
    "overview": "/console",
}
NAMES = ("Ada Lovelace", "Grace", "Linus", "Margaret H.", "Радия", "藤井", "Edsger", "Barbara", "Katherine", "Alan")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("Say where the pictures go: python scripts/screenshots.py FOLDER")
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="grandstand-pictures-") as data:
        environment = {
            **os.environ,
            "GRANDSTAND_ADMIN_KEY": KEY,
            "GRANDSTAND_WEBHOOK_ALLOW_PRIVATE": "true",
            "GRANDSTAND_PORT": "0",
            "GRANDSTAND_DATA_DIR": data,
        }
        tree = subprocess.Popen(
            [sys.executable, "-m", "grandstand", "up"], env=environment, stdout=subprocess.PIPE, text=True
        )
        try:
            url = read_url(tree)
            add_operator(environment)
            with open_browser() as browser:
                taken = sum(take(browser, url, folder, f"empty-{name}", path) for name, path in EMPTY.items())
                fill(url)
                taken += sum(take(browser, url, folder, name, path) for name, path in PAGES.items())
                taken += take_states(browser, url, folder)
            print(f"{taken} pictures are in {folder}.")
        finally:
            tree.send_signal(signal.SIGTERM)
            tree.wait()


def read_url(tree: subprocess.Popen[str]) -> str:
    """Wait until the deployment says that it is ready; return its address."""
    for line in tree.stdout or ():
        if found := re.search(r"is ready: (https?://\S+)", line):
            return found[1]
    sys.exit("The deployment did not start.")


def call(url: str, method: str, body: Any = None) -> Any:
    """Ask the API for something."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def add_operator(environment: dict[str, str]) -> None:
    """Add the admin who looks at everything."""
    add = [sys.executable, "-m", "grandstand", "operators", "add", "ann", "--role", "admin", "--password-stdin"]
    data_dir = ["--data-dir", environment["GRANDSTAND_DATA_DIR"]]
    subprocess.run([*add, *data_dir], input=PASSWORD, text=True, check=True, env=environment, stdout=subprocess.DEVNULL)


def fill(url: str) -> None:
    """Make boards, a tournament, players and scores, an event in quarantine, keys and webhooks."""
    deadline = time.monotonic() + 60
    now = datetime.now(UTC)
    board = {
        "title": "Weekly race", "event_type": "game_ended", "field": "score", "operator": "best", "period": "weekly",
        "tiers": [{"id": "gold", "top_percent": 10}, {"id": "silver", "top_percent": 30}],
        "plausibility": {"score_max": 100_000},
    }  # fmt: skip
    call(f"{url}/api/leaderboards/weekly-race", "PUT", board)
    call(f"{url}/api/leaderboards/daily-kills", "PUT",
         {"title": "Kills today", "event_type": "kill", "operator": "count", "period": "daily"})  # fmt: skip
    prizes = [{"from": 1, "kind": "coins", "amount": 500}, {"from": 2, "to": 5, "kind": "coins", "amount": 100}]
    for number, name in enumerate(("friday-cup", "autumn-open", "finals")):
        cup = {
            "id": name, "title": name.replace("-", " ").title(), "event_type": "game_ended", "field": "score",
            "operator": "best", "prizes": prizes,
            "starts_at": (now + timedelta(days=3 * number)).isoformat(),
            "ends_at": (now + timedelta(days=3 * number, hours=6)).isoformat(),
        }  # fmt: skip
        call(f"{url}/api/tournaments", "POST", cup)
    events = []
    for number in range(90):
        user_id = f"player-{number:02}"
        if number < len(NAMES):
            call(f"{url}/api/players/{user_id}", "PUT", {"display_name": NAMES[number], "country": "DE"})
        payload = {
            "score": 9_000 - number * 73 + (number * number) % 61,
            "mode": "ranked",
            "tournament_id": "friday-cup",
        }
        events.append({"event_type": "game_ended", "user_id": user_id, "payload": payload})
    events.append({"event_type": "game_ended", "user_id": "speedy", "payload": {"score": 900_000}})
    events += [make_visit(number, day, now) for day in range(1, 15) for number in range(0, 90, 1 + day % 4)]
    for first in range(0, len(events), 100):
        call(f"{url}/api/events", "POST", {"events": events[first : first + 100]})
    call(f"{url}/api/events", "POST", [{"event_type": "game_ended", "user_id": LONG_ID, "payload": {"score": 8_700}}])
    while time.monotonic() < deadline:
        page = call(f"{url}/api/leaderboards/weekly-race", "GET")
        if page["total"] >= 90 and call(f"{url}/api/health", "GET")["stream"]["depth"] == 0:
            break
        time.sleep(0.3)
    call(
        f"{url}/api/webhooks",
        "POST",
        {"url": "http://127.0.0.1:9/hooks/grandstand", "description": "Game server", "event_types": ["prize.awarded"]},
    )
    call(f"{url}/api/players/{LONG_ID}", "PUT", {"display_name": "A name as long as a name may be, " + "m" * 31})
    call(f"{url}/api/players/player-42/ban", "POST", {"reason": "Speed hack, seen by three people"})


def make_visit(number: int, day: int, now: datetime) -> dict[str, Any]:
    """Return what a player did some days ago: whoever plays often also buys."""
    occurred_at = now - timedelta(days=day, minutes=number)
    event_type = ("session_started", "game_ended", "purchase")[(number * 7 + day) % 3]
    return {
        "event_type": event_type, "user_id": f"player-{number:02}", "occurred_at": occurred_at.isoformat(),
        "payload": {"country": ("DE", "FR", "JP")[number % 3], "score": 100 + number},
    }  # fmt: skip


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start the browser of `make programs`."""
    chromium = program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.command, env={**os.environ, **chromium.environment}, args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def take(browser: Browser, url: str, folder: Path, name: str, path: str) -> int:
    """Take a page in every look; return how many pictures that were."""
    for look in LOOKS:
        page = console_page(browser, url, look)
        page.goto(url + path, wait_until="load")
        # A report may still be counted when its page is there.
        page.locator("#report[hx-get]").wait_for(state="detached")
        if name == "overview":
            # The counts of days come with the stream, a moment after the page.
            page.locator(".tile", has_text="Players today").locator("dd", has_text=re.compile("[1-9]")).wait_for()
        shoot(page, folder, name, look)
    return len(LOOKS)


def take_states(browser: Browser, url: str, folder: Path) -> int:
    """Take what a page shows only after something was done; return how many pictures that were."""
    count = 0
    for look, options in LOOKS.items():
        page = console_page(browser, url, look)
        page.goto(url + "/console/leaderboards/-/new")
        page.fill("#f-key", "Not a key!")
        page.fill("#f-title", "Night race")
        page.fill("#f-min_score", "many")
        page.click("text=Create")
        shoot(page, folder, "form-refused", look)
        page.goto(url + "/console/leaderboards/weekly-race")
        page.get_by_role("button", name="Reset", exact=True).click()
        shoot(page, folder, "question", look, is_whole=False)
        page.goto(url + "/console/keys")
        page.fill("#f-name", "build server")
        page.click("text=Make the key")
        shoot(page, folder, "key-made", look)
        page.goto(url + "/console/leaderboards/weekly-race/edit")
        page.get_by_role("button", name="Preview who moves").click()
        page.get_by_role("heading", name=re.compile("Who would move")).wait_for()
        shoot(page, folder, "replay-preview", look)
        if look == "phone":
            page.click("#menu")
            shoot(page, folder, "menu", look, is_whole=False)
            count += 1
        stranger = browser.new_context(**options).new_page()
        stranger.goto(url + "/console/log-in")
        shoot(stranger, folder, "log-in", look)
        stranger.fill("#name", "ann")
        stranger.fill("#password", "not the password")
        stranger.click("button")
        shoot(stranger, folder, "log-in-refused", look)
        page.goto(url + "/console/keys")
        page.fill("#f-name", "build server")
        page.context.clear_cookies()
        page.click("text=Make the key")
        shoot(page, folder, "session-ended", look)
        log_in(page)
        page.get_by_role("heading", name="Send it again?").wait_for()
        shoot(page, folder, "send-again", look)
        stranger.context.close()
        count += 8
    paper = console_page(browser, url, "light")
    paper.emulate_media(media="print")
    paper.goto(url + "/console/analytics")
    shoot(paper, folder, "print", "light")
    return count + 1


def shoot(page: Page, folder: Path, name: str, look: str, *, is_whole: bool = True) -> None:
    """Take what a page shows; say so when it is wider than its window."""
    page.screenshot(path=folder / f"{name}-{look}.png", full_page=is_whole)
    width = page.evaluate("document.documentElement.scrollWidth")
    if width > LOOKS[look]["viewport"]["width"]:
        print(f"{name} ({look}) is {width} px wide")


def console_page(browser: Browser, url: str, look: str) -> Page:
    """Return the page of a look, whose session is an admin's; it is kept for the next picture."""
    for context in browser.contexts:
        if (page := context.pages[0]).viewport_size == LOOKS[look]["viewport"] and page.evaluate(_IS_DARK) == (
            look == "dark"
        ):
            return page
    page = browser.new_context(**LOOKS[look]).new_page()
    page.goto(url + "/console/log-in")
    log_in(page)
    page.wait_for_url(url + "/console")
    return page


_IS_DARK = "matchMedia('(prefers-color-scheme: dark)').matches"


def log_in(page: Page) -> None:
    """Fill in the form of the log-in that a page shows."""
    page.fill("#name", "ann")
    page.fill("#password", PASSWORD)
    page.click("button")


if __name__ == "__main__":
    main()
