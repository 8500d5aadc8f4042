"""The console in a real browser, on a real deployment: what people do with it, what it is to those who cannot see it,
and that nothing of what others wrote is ever run.
"""

import io
import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlencode

import httpx
import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, expect

from tests.console.acts import bury, confirm, score, send, serve_page
from tests.console.conftest import Console, Watched
from tests.console.door import PASSWORD
from tests.support.poison import poison
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(600)

HOSTILE = "<script>window.owned=1</script><img src=x onerror=window.owned=1>'\"{{7*7}}"
WAIT = 30_000

PAGES = (
    "/console",
    "/console/leaderboards",
    "/console/leaderboards/hostile",
    "/console/leaderboards/-/new",
    "/console/leaderboards/hostile/edit",
    "/console/leaderboards/hostile/replay",
    "/console/tournaments",
    "/console/tournaments/-/calendar",
    "/console/tournaments/hostile",
    "/console/tournaments/-/new",
    "/console/prizes",
    "/console/players",
    "/console/events?event_type=hostile",
    "/console/analytics",
    "/console/analytics/retention?by=note",
    "/console/analytics/funnel?step_1=hostile&step_2=nothing",
    "/console/analytics/events",
    "/console/analytics/sessions",
    "/console/operation",
    "/console/quarantine",
    "/console/dead-letters",
    "/console/keys",
    "/console/webhooks",
    "/console/operators",
    "/console/account",
    "/console/account/code",
    "/console/audit-log",
    "/console/settings",
    "/console/leaderboards/nothing",
    "/boards/hostile",
    "/boards/hostile?embed=1",
    "/console/log-in",
)


def test_a_board_from_its_form_to_scores_that_arrive_by_themselves(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/leaderboards/-/new")
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
    expect(page.locator("tr.is-own").get_by_role("button", name="Remove")).to_be_visible()
    # The viewer is in India, half an hour off UTC's hours.
    time = page.locator("tr.is-own time")
    utc = re.match(r"\d{4}-\d\d-\d\d (\d\d:\d\d)", time.get_attribute("title") or "")
    assert utc is not None
    there = datetime.strptime(utc[1], "%H:%M") + timedelta(hours=5, minutes=30)  # noqa: DTZ007
    expect(time).to_contain_text(f"{there:%H:%M}")

    # From an event to the place that it led to.
    page.goto(console.url + "/console/events?user_id=ada")
    page.locator("td.scored p", has_text="1,200").get_by_role("link", name="Sprint").click()
    expect(page.locator("tr.is-own")).to_contain_text("1,200")

    page.goto(console.url + "/console/leaderboards/sprint")
    confirm(page, "Reset", "Reset the board")
    for shown in (page, public):
        expect(shown.get_by_text("Nobody has a score here yet.")).to_be_visible(timeout=WAIT)
    expect(public.locator("tbody tr")).to_have_count(0)
    confirm(page, "Delete", "Delete the board")
    expect(page.get_by_text("Deleted.")).to_be_visible()


def test_a_tournament_from_its_form_to_the_claim(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/tournaments/-/new")
    begun = datetime.now(UTC) - timedelta(seconds=30)
    page.get_by_label("Id").fill("cup")
    page.get_by_label("Title").fill("The Cup")
    page.get_by_label("Starts (UTC)").fill(f"{begun:%Y-%m-%dT%H:%M:%S}")
    page.get_by_label("Ends (UTC)").fill(f"{begun - timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")
    # The viewer is in India.
    there = begun + timedelta(hours=5, minutes=30)
    expect(page.locator("p.hint", has_text="where you are").first).to_contain_text(f"{there:%H:%M:%S}")
    page.get_by_label("Prizes").fill("1 coins 500\n2-3 coins")
    # While it is typed, beside what was touched and nowhere else.
    expect(page.locator("#e-prizes")).to_contain_text("line 2")
    expect(page.locator("#e-ends_at")).to_contain_text("must be later than starts_at")
    expect(page.locator("#e-event_type")).to_have_count(0)
    page.get_by_label("Prizes").fill("1 coins 500\n2-3 coins 100")
    expect(page.locator("#e-prizes")).to_have_count(0)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-ends_at")).to_contain_text("must be later than starts_at")
    expect(page.get_by_label("Prizes")).to_have_value("1 coins 500\n2-3 coins 100")
    page.get_by_label("Ends (UTC)").fill(f"{begun + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="The Cup")).to_be_visible()
    shown = ann.page()
    shown.goto(console.url + f"/console/tournaments/-/calendar?month={begun:%Y-%m}")
    expect(shown.locator("a.slot", has_text="The Cup").first).to_be_visible()

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
    expect(page.get_by_label("Tournament")).to_have_value("cup")
    page.locator("tr", has_text="ada").get_by_role("button", name="Void").click()
    page.get_by_role("dialog").get_by_role("button", name="Void the prize").click()
    expect(page.get_by_text("Voided.")).to_be_visible()
    found = console.api("GET", "/api/prizes?tournament_id=cup")["prizes"]
    assert {prize["user_id"]: prize["status"] for prize in found} == {"bob": "claimed", "ada": "voided"}


def test_who_moves_is_seen_before_a_new_rule_is_in_force(console: Console, ann: Watched) -> None:
    rule = {"title": "Runs", "event_type": "run_ended", "field": "score", "operator": "best"}
    console.api("PUT", "/api/leaderboards/runs", rule)
    runs = (("often", 5), ("often", 6), ("once", 9))
    send(
        console, *({"event_type": "run_ended", "user_id": user, "payload": {"score": points}} for user, points in runs)
    )
    eventually(lambda: console.api("GET", "/api/leaderboards/runs")["total"] == 2, 30)
    page = ann.page()
    page.goto(console.url + "/console/leaderboards/runs/edit")
    page.get_by_label("Operator").select_option("sum")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("replay the board with the new rule")).to_be_visible()
    expect(page.get_by_label("Operator")).to_have_value("sum")
    page.get_by_role("button", name="Preview who moves").click()
    moved = page.locator("tr", has_text="often")
    expect(moved).to_contain_text("11", timeout=WAIT)
    assert console.api("GET", "/api/leaderboards/runs")["entries"][0]["user_id"] == "once"
    confirm(page, "Put it in force", "Replay the board")
    expect(page.get_by_text("It is in force.")).to_be_visible(timeout=WAIT)
    assert console.api("GET", "/api/leaderboards/runs")["entries"][0]["user_id"] == "often"
    entry = console.api("GET", "/api/audit-log?action=leaderboard.replay")["entries"][0]
    assert (entry["actor"], entry["target"]) == ("operator:ann", "runs")


def test_a_funnel_comes_to_what_is_counted_here(console: Console, ann: Watched, tmp_path: Path) -> None:
    steps, random = ("opened", "tried", "bought"), Random(9)
    began_at = datetime.now(UTC) - timedelta(hours=5)
    journeys = {f"visitor-{number}": random.choices(steps, k=random.randint(1, 6)) for number in range(40)}
    for user, journey in journeys.items():
        send(
            console,
            *(
                {"event_type": step, "user_id": user, "occurred_at": (began_at + timedelta(minutes=at)).isoformat()}
                for at, step in enumerate(journey)
            ),
        )
    expected = [sum(is_before(journey, steps[:count]) for journey in journeys.values()) for count in (1, 2, 3)]
    query = urlencode({f"step_{number}": step for number, step in enumerate(steps, start=1)})
    eventually(lambda: console.api("GET", "/api/health")["stream"]["depth"] == 0, 60)

    page = ann.page()
    page.goto(f"{console.url}/console/analytics/funnel?{query}")
    cells = page.locator("tbody tr td:nth-child(2)")
    expect(cells).to_have_count(len(steps))
    assert cells.all_inner_texts() == [str(count) for count in expected]
    with page.expect_download() as table:
        page.get_by_role("link", name="Download as CSV").click()
    shares = [round(count / expected[0], 4) for count in expected]
    rows = [f"{step},{count},{share}" for step, count, share in zip(steps, expected, shares, strict=True)]
    assert Path(table.value.path()).read_text().splitlines() == ["event_type,users,share", *rows]
    with page.expect_download() as picture:
        page.get_by_role("button", name="PNG").click()
    picture.value.save_as(tmp_path / "funnel.png")
    with Image.open(tmp_path / "funnel.png") as image:
        assert image.width == 1520
        assert len(image.convert("RGB").getcolors(1_000_000) or ()) > 10, "nothing is drawn"

    page.get_by_label("Step 2").fill("not a type!")
    page.get_by_label("Time zone").fill("Mars/Olympus")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#e-step_2")).to_contain_text("must be 1 to 50 characters")
    expect(page.get_by_label("Step 3")).to_have_value("bought")
    page.get_by_label("Step 2").fill("tried")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#e-timezone")).to_contain_text("IANA")
    page.get_by_label("Time zone").fill("Europe/Berlin")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("Europe/Berlin").last).to_be_visible()


def is_before(journey: Sequence[str], steps: Sequence[str]) -> bool:
    """Whether the steps are in the journey, one after the other."""
    rest = iter(journey)
    return all(step in rest for step in steps)


def test_the_overview_follows_by_itself(console: Console, ann: Watched) -> None:
    # One that is of tomorrow where midnight falls into this test.
    soon = datetime.now(UTC) + timedelta(minutes=5)
    send(console, score("today", 1), score("today", 1) | {"occurred_at": soon.isoformat()})
    page = ann.page()
    page.goto(console.url + "/console")
    expect(page.locator("#live-sign.is-on")).to_be_visible(timeout=WAIT)
    today = page.locator(".tile", has_text="Players today").locator("dd")
    expect(today).to_have_text(re.compile(r"[1-9]"), timeout=WAIT)
    # Whoever reads the table stays where they are, and reads on.
    page.get_by_text("As a table").click()
    before = page.locator("tbody tr").first.inner_text()
    expect(page.locator("tbody tr").first).not_to_have_text(before, timeout=WAIT)
    expect(page.locator("summary")).to_be_focused()
    assert httpx.get(console.url + "/console/live", timeout=30).status_code == 401


def test_keys_and_webhooks_are_made_shown_once_and_taken_back(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/keys")
    page.get_by_role("button", name="Make the key").click()
    expect(page.locator("#e-name")).to_have_text("is needed")
    page.get_by_role("textbox", name="Name").fill("build server")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator(".note pre").inner_text()
    bearer = {"Authorization": f"Bearer {key}"}
    assert httpx.get(console.url + "/api/leaderboards", headers=bearer, timeout=30).status_code == 200
    page.goto(console.url + "/console/keys")
    expect(page.get_by_text(key)).to_have_count(0)
    row = page.locator("tr", has_text="build server")
    row.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke the key").click()
    expect(page.get_by_text("Revoked.")).to_be_visible()
    assert httpx.get(console.url + "/api/keys", headers=bearer, timeout=30).status_code == 401

    page.goto(console.url + "/console/webhooks")
    page.get_by_label("URL").fill("ftp://127.0.0.1/")
    page.get_by_role("button", name="Create the webhook").click()
    expect(page.locator("#e-url")).to_be_visible()
    page.get_by_label("URL").fill("http://127.0.0.1:9/hook")
    page.get_by_role("button", name="Create the webhook").click()
    expect(page.locator(".note pre")).to_contain_text("whsec_")
    page.goto(console.url + "/console/webhooks")
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("A test event is on its way.")).to_be_visible()
    delivery = page.get_by_role("region", name="Deliveries").locator("tr", has_text="webhook.test")
    expect(delivery).to_contain_text("http://127.0.0.1:9/hook")
    confirm(page, "Delete", "Delete the webhook")
    expect(page.get_by_text("No webhook yet.")).to_be_visible()


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
    assert len(console.api("GET", "/api/audit-log?action=dead_letter.replay")["entries"]) == 2
    # What is wrong with them is still wrong: they come back, and are thrown away.
    eventually(lambda: len(console.api("GET", "/api/dead-letters?status=dead")["dead_letters"]) == 2, 60)
    page.goto(console.url + "/console/dead-letters")
    page.get_by_label("Tick all").check()
    confirm(page, "Delete the ticked", "Delete them")
    expect(page.get_by_text("There are none.")).to_be_visible()


def test_a_form_is_filled_in_and_sent_by_keyboard_alone_at_twice_the_size(console: Console, ann: Watched) -> None:
    page = ann.page()
    # 1280 pixels at 200 %.
    page.set_viewport_size({"width": 640, "height": 400})
    page.goto(console.url + "/console/leaderboards/-/new")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for label, typed in (("Key", "by-keyboard"), ("Title", "By keyboard")):
        page.keyboard.press("Tab")
        expect(page.get_by_label(label, exact=False).first).to_be_focused()
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.type(typed)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="By keyboard")).to_be_visible()
    question = page.get_by_role("button", name="Delete", exact=True)
    question.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(question).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Delete the board")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Deleted.")).to_be_visible()


def test_a_second_click_and_the_way_back_do_nothing_twice(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/keys")
    page.get_by_role("textbox", name="Name").fill("clicked twice")
    page.get_by_role("button", name="Make the key").dblclick()
    expect(page.locator(".note pre")).to_contain_text("gs_")
    made = [key for key in console.api("GET", "/api/keys")["keys"] if key["name"] == "clicked twice"]
    assert len(made) == 1
    # Back, and forth again by the browser's own buttons: nothing is sent by that.
    page.goto(console.url + "/console/leaderboards/global/edit")
    page.get_by_label("Title").fill("Renamed")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Renamed")).to_be_visible()
    page.go_back()
    page.get_by_label("Title").fill("Global")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Global")).to_be_visible()


def test_what_was_typed_in_a_tab_outlives_a_log_out_in_another(console: Console, browser: Browser) -> None:
    cookie = console.log_in("liv").cookies["gs_console"]
    context = browser.new_context()
    context.add_cookies([{"name": "gs_console", "value": cookie, "url": console.url + "/console"}])
    try:
        page, other = context.new_page(), context.new_page()
        page.goto(console.url + "/console/leaderboards/-/new")
        page.get_by_label("Key").fill("two-tabs")
        page.get_by_label("Title").fill('"Two" <tabs>')
        other.goto(console.url + "/console")
        other.get_by_role("button", name="Log out").click()
        other.get_by_label("Name").wait_for()
        page.get_by_role("button", name="Create").click()
        expect(page.get_by_text("Your session has ended.")).to_be_visible()
        # Meanwhile somebody logs in in the other tab, and both go on.
        for tab in (other, page):
            tab.get_by_label("Name").fill("liv")
            tab.get_by_label("Password").fill(PASSWORD)
            tab.get_by_role("button", name="Log in").click()
        expect(page.get_by_text('"Two" <tabs>')).to_be_visible()
        page.get_by_role("button", name="Send it as liv").click()
        expect(page.get_by_role("heading", name='"Two" <tabs>')).to_be_visible()
        # The page that was open there is of the session before: its form is offered, not taken.
        other.goto(console.url + "/console/leaderboards/two-tabs/edit")
        context.clear_cookies()
        newest = console.log_in("liv").cookies["gs_console"]
        context.add_cookies([{"name": "gs_console", "value": newest, "url": console.url + "/console"}])
        other.get_by_label("Title").fill("Later")
        other.get_by_role("button", name="Save").click()
        expect(other.get_by_text("of another session than yours")).to_be_visible()
        other.get_by_role("button", name="Send it as liv").click()
        expect(other.get_by_role("heading", name="Later")).to_be_visible()
    finally:
        context.close()
    console.api("DELETE", "/api/leaderboards/two-tabs")


def test_an_operator_sets_up_a_code_and_changes_the_password(console: Console, browser: Browser) -> None:
    console.manage(lambda operators: operators.add("olga", "viewer", PASSWORD))
    context = browser.new_context()
    watched = Watched(context, console.url)
    context.on("request", watched.note)
    page, changed = watched.page(), "another long password"

    def log_in(password: str, code: str = "") -> None:
        page.goto(console.url + "/console/log-in")
        page.get_by_label("Name").fill("olga")
        page.get_by_label("Password").fill(password)
        page.get_by_label("Code").fill(code)
        page.get_by_role("button", name="Log in").click()

    try:
        log_in(PASSWORD)
        page.get_by_role("link", name="olga").click()
        page.get_by_role("link", name="Set up a code").click()
        assert page.locator("img.qr").evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
        totp = pyotp.TOTP(page.get_by_label("Secret").inner_text())
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("Code").fill("12 345")
        page.get_by_role("button", name="Ask for a code").click()
        expect(page.locator("#e-code")).to_have_text("must be six digits")
        expect(page.get_by_label("Secret")).to_have_text(totp.secret)
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("Code").fill(totp.now())
        page.get_by_role("button", name="Ask for a code").click()
        expect(page.get_by_text("From now on a code is asked for")).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        log_in(PASSWORD)
        expect(page.get_by_role("alert")).to_contain_text("is wrong")
        # A code counts once; the next one is taken a little early.
        log_in(PASSWORD, totp.at(time.time() + totp.interval))
        page.get_by_role("link", name="olga").click()
        page.get_by_role("link", name="Turn the code off").click()
        page.set_viewport_size({"width": 360, "height": 800})
        assert Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"] == []
        page.get_by_role("link", name="Back").click()
        page.get_by_label("Current password").fill("not the password")
        for label in ("New password", "New password again"):
            page.get_by_label(label + " (needed)", exact=True).fill(changed)
        page.get_by_role("button", name="Change the password").click()
        expect(page.locator("#e-current_password")).to_have_text("is not your password")
        for label, typed in (
            ("Current password", PASSWORD),
            ("New password", changed),
            ("New password again", changed),
        ):
            page.get_by_label(label + " (needed)", exact=True).fill(typed)
        page.get_by_role("button", name="Change the password").click()
        expect(page.get_by_text("Your password is changed")).to_be_visible()
        done = {entry["action"] for entry in console.api("GET", "/api/audit-log?actor=operator:olga")["entries"]}
        assert done >= {"operator.totp", "operator.password"}
    finally:
        context.close()
    watched.check()


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


BUTTONS_OUT_OF_VIEW = """() => [...document.querySelectorAll(".scroll td button")]
  .filter(b => b.checkVisibility())
  .filter(b => b.getBoundingClientRect().right > b.closest(".scroll").getBoundingClientRect().right)
  .map(b => b.textContent)"""


@pytest.mark.usefixtures("hostile")
def test_nothing_that_others_wrote_is_run_and_everybody_can_read_every_page(console: Console, ann: Watched) -> None:
    page, axe = ann.page(), Axe()
    player = path_of_player(console, HOSTILE)
    for number, path in enumerate((*PAGES, player)):
        page.emulate_media(color_scheme="dark" if number % 2 else "light")
        page.goto(console.url + path)
        assert page.evaluate("window.owned === undefined && !document.querySelector('img[src=x]')"), path
        # A phone, and a small window at twice the usual size.
        for width in (360, 640):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is too wide at {width}"
        page.set_viewport_size({"width": 1280, "height": 800})
        hidden = page.evaluate(BUTTONS_OUT_OF_VIEW)
        assert hidden == [], path
        if number % 3:
            page.set_viewport_size({"width": 360, "height": 800})
        found = axe.run(page, options={"resultTypes": ["violations"]}).response["violations"]
        grave = [item for item in found if item["impact"] in ("serious", "critical")]
        serious = [(item["id"], item["nodes"][0]["html"]) for item in grave]
        assert serious == [], path
    # It is there, as text.
    for path in ("/console/leaderboards/hostile", "/boards/hostile", player):
        page.goto(console.url + path)
        expect(page.get_by_text(HOSTILE).first).to_be_visible()


@pytest.mark.usefixtures("hostile")
def test_what_was_held_is_released_and_a_player_is_exported(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/quarantine?leaderboard=hostile")
    expect(page.locator("tbody tr")).to_contain_text("5,000")
    page.get_by_role("link", name="Look at the event").click()
    expect(page.locator("td.wide pre", has_text="5000")).to_have_count(1)
    expect(page.locator("td.scored", has_text="held, score too high")).to_have_count(1)
    page.go_back()
    page.get_by_label("Tick all").check()
    page.get_by_role("button", name="Release the ticked").click()
    expect(page.get_by_text("Released: the events count now.")).to_be_visible()
    eventually(lambda: console.api("GET", "/api/leaderboards/hostile")["entries"][0]["score"] == 5_000, 30)
    page.goto(console.url + path_of_player(console, HOSTILE))
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert HOSTILE in json.dumps(json.loads(Path(download.value.path()).read_text())).encode().decode("unicode_escape")


@pytest.mark.usefixtures("hostile")
def test_a_board_has_a_picture_and_stands_in_pages_of_others(console: Console, browser: Browser) -> None:
    page = browser.new_page()
    try:
        page.goto(console.url + "/boards/hostile")
        answer = httpx.get(console.url + "/boards/hostile/card.png", timeout=30)
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["cache-control"].startswith("public, max-age=")
        with Image.open(io.BytesIO(answer.content)) as image:
            assert image.size == (1200, 630)
        script = f'<script src="{console.url}/boards/-/embed.js" data-board="hostile" data-theme="dark"></script>'
        around = f'<main style="--board-accent: rgb(1, 2, 3); --board-text: url(x)">{script}</main>'
        with serve_page(around) as elsewhere:
            page.goto(elsewhere)
            frame = page.frame_locator("iframe")
            expect(frame.locator("tbody tr")).to_have_count(2)
            expect(frame.locator("tr.is-top td").first).to_have_css("color", "rgb(1, 2, 3)")
            expect(page.locator("iframe")).not_to_have_css("height", "520px")
    finally:
        page.close()
    console.api("PUT", "/api/leaderboards/secret", {"event_type": "none", "operator": "count", "visibility": "private"})
    assert httpx.get(console.url + "/boards/secret/card.png", timeout=30).status_code == 404


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
