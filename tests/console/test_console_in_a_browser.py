"""The console in a real browser, on a real deployment: what people do with it, what it is to those who cannot see it,
and that nothing of what others wrote is ever run.
"""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from grandstand.domain.event_model import join_entry
from grandstand.storage.event_stream import HIGH, EventStream
from grandstand.storage.valkey import open_valkey
from grandstand.supervisor.state import read_state
from tests.console.conftest import Console, Watched, run
from tests.support.poison import poison
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

HOSTILE = "<script>window.owned=1</script><img src=x onerror=window.owned=1>'\"{{7*7}}"
WAIT = 20_000

PAGES = (
    "/console",
    "/console/leaderboards",
    "/console/leaderboards/hostile",
    "/console/leaderboards/new",
    "/console/leaderboards/hostile/edit",
    "/console/tournaments",
    "/console/tournaments/hostile",
    "/console/tournaments/new",
    "/console/prizes",
    "/console/players",
    "/console/events?event_type=hostile",
    "/console/quarantine",
    "/console/dead-letters",
    "/console/keys",
    "/console/webhooks",
    "/console/operators",
    "/console/audit-log",
    "/console/settings",
    "/console/leaderboards/nothing",
    "/boards/hostile",
    "/boards/hostile?embed=1",
    "/console/log-in",
)


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


def test_a_board_from_its_form_to_scores_that_arrive_by_themselves(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/leaderboards/new")
    page.get_by_label("Key").fill("Not a key!")
    page.get_by_label("Title").fill("Sprint")
    page.get_by_label("Least score").fill("many")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-min_score")).to_have_text("must be a whole number")
    expect(page.get_by_label("Title")).to_have_value("Sprint")
    page.get_by_label("Least score").fill("0")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-key")).to_contain_text("must be")
    page.get_by_label("Key").fill("sprint")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Sprint")).to_be_visible()
    expect(page.get_by_text("Nobody has a score here yet.")).to_be_visible()
    expect(page.locator("#live-sign.is-on")).to_be_visible(timeout=WAIT)

    public = ann.page()
    public.goto(console.url + "/boards/sprint")
    send(console, score("ada", 1200))
    for shown in (page, public):
        expect(shown.locator("tbody tr").first).to_contain_text("1,200", timeout=WAIT)
    send(console, score("bob", 2400))
    for shown in (page, public):
        expect(shown.locator("tbody tr").first).to_contain_text("bob", timeout=WAIT)

    page.get_by_label("Find a player by id").fill("ada")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tr.is-own")).to_contain_text("ada")
    # The viewer is in India, half an hour off UTC's hours.
    time = page.locator("tr.is-own time")
    utc = re.match(r"\d{4}-\d\d-\d\d (\d\d:\d\d)", time.get_attribute("title") or "")
    assert utc is not None
    there = datetime.strptime(utc[1], "%H:%M") + timedelta(hours=5, minutes=30)  # noqa: DTZ007
    expect(time).to_contain_text(f"{there:%H:%M}")

    page.goto(console.url + "/console/leaderboards/sprint")
    confirm(page, "Reset", "Reset the board")
    expect(page.get_by_text("Nobody has a score here yet.")).to_be_visible()
    confirm(page, "Delete", "Delete the board")
    expect(page.get_by_text("Deleted.")).to_be_visible()


def test_a_tournament_from_its_form_to_the_claim(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/tournaments/new")
    begun = datetime.now(UTC) - timedelta(seconds=30)
    page.get_by_label("Id").fill("cup")
    page.get_by_label("Title").fill("The Cup")
    page.get_by_label("Starts (UTC)").fill(f"{begun:%Y-%m-%dT%H:%M:%S}")
    page.get_by_label("Ends (UTC)").fill(f"{begun - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")
    page.get_by_label("Prizes").fill("1 coins 500\n2-3 coins")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-prizes")).to_contain_text("line 2")
    page.get_by_label("Prizes").fill("1 coins 500\n2-3 coins 100")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-ends_at")).to_contain_text("must be later than starts_at")
    expect(page.get_by_label("Prizes")).to_have_value("1 coins 500\n2-3 coins 100")
    page.get_by_label("Ends (UTC)").fill(f"{begun + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="The Cup")).to_be_visible()

    send(console, *(score(user, points, tournament_id="cup") for user, points in (("ada", 10), ("bob", 30))))
    eventually(lambda: console.api("GET", "/api/tournaments/cup")["players"] == 2, 30)
    eventually(lambda: console.api("GET", "/api/tournaments/cup")["status"] == "active", 30)
    page.reload()
    expect(page.get_by_text("2 prizes for 2 players: 600 coins.")).to_be_visible()
    confirm(page, "End now", "End it now")
    eventually(lambda: console.api("GET", "/api/tournaments/cup")["status"] == "settled", 60)
    page.goto(console.url + "/console/prizes?tournament_id=cup")
    row = page.locator("tr", has_text="bob")
    expect(row).to_contain_text("500 coins")
    row.get_by_role("button", name="Claim").click()
    expect(page.get_by_text("Claimed.")).to_be_visible()
    page.locator("tr", has_text="ada").get_by_role("button", name="Void").click()
    page.get_by_role("dialog").get_by_role("button", name="Void the prize").click()
    expect(page.get_by_text("Voided.")).to_be_visible()
    found = console.api("GET", "/api/prizes?tournament_id=cup")["prizes"]
    assert {prize["user_id"]: prize["status"] for prize in found} == {"bob": "claimed", "ada": "voided"}


def test_a_ban_is_written_down_with_who_did_it(console: Console, ann: Watched) -> None:
    send(console, score("cheat", 999))
    eventually(lambda: console.api("GET", "/api/leaderboards/user/cheat")["rank"], 30)
    page = ann.page()
    page.goto(console.url + "/console/players?user_id=cheat")
    page.get_by_role("button", name="Ban the player").click()
    expect(page.locator("#e-reason")).to_be_visible()
    page.get_by_label("Reason").fill("a bot")
    page.get_by_role("button", name="Ban the player").click()
    expect(page.get_by_text("On no board.")).to_be_visible()
    page.goto(console.url + "/console/audit-log?target=cheat")
    expect(page.locator("tbody tr").first).to_contain_text("operator:ann")
    expect(page.locator("tbody tr").first).to_contain_text("player.ban")
    page.goto(console.url + "/console/players?user_id=cheat")
    page.get_by_role("button", name="Lift the ban").click()
    expect(page.get_by_text("The ban is lifted")).to_be_visible()


def test_dead_letters_are_read_replayed_and_deleted_by_keyboard(console: Console, ann: Watched) -> None:
    bury(console, poison("no user"), poison())
    eventually(lambda: len(console.api("GET", "/api/dead-letters?status=dead")["dead_letters"]) == 2, 60)
    page = ann.page()
    page.goto(console.url + "/console/dead-letters")
    page.locator("tbody a").first.click()
    expect(page.locator("pre")).to_contain_text("game_ended")
    page.goto(console.url + "/console/dead-letters")
    page.get_by_label("Tick all").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Replay the ticked").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("On their way again.")).to_be_visible()
    letters = console.api("GET", "/api/dead-letters?status=replayed")["dead_letters"]
    assert len(letters) == 2
    # What is wrong with them is still wrong: they come back, and are thrown away.
    eventually(lambda: len(console.api("GET", "/api/dead-letters?status=dead")["dead_letters"]) == 2, 60)
    page.goto(console.url + "/console/dead-letters")
    page.get_by_label("Tick all").check()
    page.get_by_role("button", name="Delete the ticked").click()
    expect(page.get_by_text("There are none.")).to_be_visible()


@pytest.fixture(scope="module")
def hostile(console: Console) -> None:
    """Names, titles, payloads and reasons that are code."""
    board = {
        "title": HOSTILE, "event_type": "hostile", "field": "score", "operator": "best", "keep": ["note"],
        "plausibility": {"score_max": 100},
    }  # fmt: skip
    console.api("PUT", "/api/leaderboards/hostile", board)
    now = datetime.now(UTC)
    cup = {
        "id": "hostile", "title": HOSTILE, "event_type": "hostile", "field": "score", "operator": "best",
        "starts_at": (now - timedelta(minutes=1)).isoformat(), "ends_at": (now + timedelta(days=1)).isoformat(),
        "prizes": [{"from": 1, "kind": "coins", "amount": 1, "metadata": {"note": HOSTILE}}],
    }  # fmt: skip
    console.api("POST", "/api/tournaments", cup)
    console.api("PUT", "/api/players/named", {"display_name": HOSTILE[:64], "metadata": {"note": HOSTILE}})
    payload = {"note": HOSTILE, "tournament_id": "hostile"}
    send(
        console,
        {"event_type": "hostile", "user_id": HOSTILE, "payload": {"score": 7, **payload}},
        {"event_type": "hostile", "user_id": "named", "payload": {"score": 5, **payload}},
        {"event_type": "hostile", "user_id": HOSTILE, "payload": {"score": 5_000, **payload}},
    )
    bury(console, poison().replace(b'"user_id":"eve"', b'"user_id":"<script>window.owned=1</script>"'))
    eventually(lambda: console.api("GET", "/api/leaderboards/hostile")["total"] == 2, 60)
    eventually(lambda: console.api("GET", "/api/dead-letters?status=dead")["dead_letters"], 60)


@pytest.mark.usefixtures("hostile")
def test_nothing_that_others_wrote_is_run_and_everybody_can_read_every_page(console: Console, ann: Watched) -> None:
    page, axe = ann.page(), Axe()
    player = path_of_player(console, HOSTILE)
    for number, path in enumerate((*PAGES, player)):
        page.emulate_media(color_scheme="dark" if number % 2 else "light")
        page.set_viewport_size({"width": 360 if number % 3 else 1280, "height": 800})
        page.goto(console.url + path)
        assert page.evaluate("window.owned === undefined && !document.querySelector('img[src=x]')"), path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than its window"
        found = axe.run(page).response["violations"]
        grave = [item for item in found if item["impact"] in ("serious", "critical")]
        serious = [(item["id"], item["nodes"][0]["html"]) for item in grave]
        assert serious == [], path
    # It is there, as text.
    for path in ("/console/leaderboards/hostile", "/boards/hostile", player):
        page.goto(console.url + path)
        expect(page.get_by_text(HOSTILE).first).to_be_visible()


def path_of_player(console: Console, user_id: str) -> str:
    return f"/console/players?{urlencode({'user_id': user_id})}"


def test_a_board_in_the_frame_of_another_site(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/boards/global?embed=1")
    answer = page.request.get(console.url + "/boards/global?embed=1")
    assert "frame-ancestors *" in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers
    assert answer.headers["cache-control"].startswith("public, max-age=")
    assert "set-cookie" not in answer.headers
    inside = page.request.get(console.url + "/console/log-in")
    assert "frame-ancestors 'none'" in inside.headers["content-security-policy"]
    assert "unsafe" not in inside.headers["content-security-policy"]
