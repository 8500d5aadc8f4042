"""Boards in a real browser. Live ones come back after whatever ended their stream, hold none while nobody sees them,
and leave whoever works in them alone. Public ones fit into frames and phones. What no server would read is not sent.
"""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.console.acts import score, send, serve_page
from tests.console.conftest import Console, Watched
from tests.console.door import PASSWORD
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

COUNT_STREAMS = """
window.streams = [];
window.EventSource = class extends EventSource {
  constructor(address) { super(address); window.streams.push(this); }
};
window.answers = 0;
document.addEventListener("htmx:afterRequest", () => { window.answers += 1; });
"""
OPEN = "window.streams.filter((stream) => stream.readyState !== EventSource.CLOSED).length"
HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
PUT_AWAY = """() => {
  dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
  return window.streams.filter((stream) => stream.readyState !== EventSource.CLOSED).length;
}"""
SAY_HELD = "streams.at(-1).addEventListener('update', () => setTimeout(() => console.log('held'), 900))"
LINES = """(cells) => cells.map((cell) => {
  const range = document.createRange();
  range.selectNodeContents(cell);
  return range.getClientRects().length;
})"""
TAKE_OUT = """() => dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))"""


@pytest.fixture(scope="module", autouse=True)
def rally(console: Console) -> None:
    """A board of its own with two players."""
    board: dict[str, Any] = {"title": "Rally", "event_type": "rally", "field": "score", "operator": "best"}
    console.api("PUT", "/api/leaderboards/rally", board)
    send(console, *(run_of(user, points) for user, points in (("ada", 10), ("bob", 5))))


def run_of(user_id: str, points: int) -> dict[str, object]:
    return {**score(user_id, points), "event_type": "rally"}


def open_page(console: Console, ann: Watched, path: str) -> Page:
    page = ann.page()
    page.add_init_script(COUNT_STREAMS)
    page.goto(console.url + path)
    return page


def wait_until(page: Page, condition: str) -> None:
    """Wait in this process: the policy of the pages forbids what asks again and again inside of them."""
    eventually(lambda: page.evaluate(condition), 30, condition)


@pytest.mark.parametrize(("path", "points"), [("/console/leaderboards/rally", 777), ("/boards/rally", 888)])
def test_a_stream_that_was_refused_is_asked_for_again(console: Console, ann: Watched, path: str, points: int) -> None:
    # A proxy says so while the server behind it starts anew; a browser does not come again after that.
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=502, body="")

    page = ann.page()
    page.route(re.compile(r"/live(\?|$)"), refuse, times=1)
    page.goto(console.url + path)
    expect(page.locator("tbody tr")).to_have_count(2)
    send(console, run_of("ada", points))
    expect(page.locator("tbody tr").first).to_contain_text(str(points))
    assert len(refused) == 1


def test_a_board_that_is_deleted_while_it_is_watched_says_so(console: Console, ann: Watched) -> None:
    console.api("PUT", "/api/leaderboards/passing", {"event_type": "passing", "operator": "count"})
    page = open_page(console, ann, "/console/leaderboards/passing")
    expect(page.locator("#live-sign")).to_have_text("Live")
    console.api("DELETE", "/api/leaderboards/passing")
    expect(page.get_by_role("alert")).to_contain_text("It may have been deleted meanwhile")
    page.get_by_role("link", name="To the leaderboards").click()
    expect(page.get_by_role("heading", name="Leaderboards")).to_be_visible()
    # Rows that were asked for in the moment before are not there, and the library says so.
    ann.complaints = [each for each in ann.complaints if "Error Code 404" not in each]


@pytest.mark.parametrize("path", ["/console/leaderboards/rally", "/console", "/boards/rally"])
def test_a_page_that_nobody_sees_holds_no_stream(console: Console, ann: Watched, path: str) -> None:
    # A browser has six connections to a server: six hidden tabs would be all of them.
    page = open_page(console, ann, path)
    wait_until(page, OPEN + " === 1")
    page.evaluate(HIDE, True)
    assert page.evaluate(OPEN) == 0
    page.evaluate(HIDE, False)
    assert page.evaluate(OPEN) == 1
    # Put away by the browser and taken out again, as by its Back button.
    assert page.evaluate(PUT_AWAY) == 0
    page.evaluate(TAKE_OUT)
    assert page.evaluate(OPEN) == 1


def test_the_sign_says_whether_a_page_is_live(console: Console, ann: Watched) -> None:
    page = open_page(console, ann, "/console/leaderboards/rally")
    sign = page.locator("#live-sign")
    expect(sign).to_have_text("Live")
    page.evaluate("window.streams.at(-1).dispatchEvent(new Event('error'))")
    expect(sign).to_have_text("Not live")
    # Nothing has happened meanwhile, and it is live again all the same.
    page.evaluate("window.streams.at(-1).dispatchEvent(new Event('open'))")
    expect(sign).to_have_text("Live")


def test_a_question_stays_open_and_names_the_player_while_scores_arrive(console: Console, ann: Watched) -> None:
    page = open_page(console, ann, "/console/leaderboards/rally")
    # Its stream begins with the newest state, for which the rows are asked once more: no click may fall in between.
    wait_until(page, "window.answers > 0")
    page.locator("tr", has_text="bob").get_by_role("button", name="Remove").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("bob")
    with page.expect_event("console", lambda message: message.text == "held"):
        page.evaluate(SAY_HELD)
        send(console, run_of("bob", 900))
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    # What was held back is shown then.
    expect(page.locator("tbody tr").first).to_contain_text("900")


def test_a_question_stays_open_when_it_is_asked_while_rows_are_on_their_way(console: Console, ann: Watched) -> None:
    page = open_page(console, ann, "/console/leaderboards/rally")
    wait_until(page, "window.answers > 0")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/console/leaderboards/rally$"), hold, times=1)
    with page.expect_request(lambda asked: "hx-request" in asked.headers):
        send(console, run_of("bob", 950))
    page.locator("tr", has_text="bob").get_by_role("button", name="Remove").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("bob")
    before = page.evaluate("window.answers")
    held[0].continue_()
    wait_until(page, f"window.answers > {before}")
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("tbody tr").first).to_contain_text("950")


def test_who_is_at_a_row_by_keyboard_stays_at_its_player(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.set_viewport_size({"width": 360, "height": 740})
    # Its stream begins with the newest state, for which the rows are asked once more.
    with page.expect_response(lambda answer: "hx-request" in answer.request.headers):
        page.goto(console.url + "/console/leaderboards/rally")
    page.locator("tr", has_text="ada").get_by_role("link").focus()
    page.locator("#rows .scroll").evaluate("region => region.scrollLeft = 60")
    send(console, run_of("cid", 5_000))
    expect(page.locator("tbody tr").first).to_contain_text("cid")
    expect(page.locator("tr", has_text="ada").get_by_role("link")).to_be_focused()
    assert page.locator("#rows .scroll").evaluate("region => region.scrollLeft") == 60


def test_a_live_page_whose_session_has_ended_goes_to_the_log_in(console: Console, ann: Watched) -> None:
    console.manage(lambda operators: operators.add("gone", "viewer", PASSWORD))
    cookie = console.log_in("gone").cookies["gs_console"]
    context = ann.context.browser.new_context() if ann.context.browser else None
    assert context is not None
    context.add_cookies([{"name": "gs_console", "value": cookie, "url": console.url + "/console"}])
    try:
        page = context.new_page()
        page.add_init_script(COUNT_STREAMS)
        page.goto(console.url + "/console")
        expect(page.locator("#live-sign.is-on")).to_be_visible()
        console.manage(lambda operators: operators.disable("gone"))
        page.evaluate(HIDE, True)
        page.evaluate(HIDE, False)
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    finally:
        context.close()


def test_ten_places_fit_into_a_frame_and_no_number_is_broken_on_a_phone(console: Console, ann: Watched) -> None:
    console.api("PUT", "/api/leaderboards/wide", {"event_type": "wide", "field": "score", "operator": "best"})
    events = [{**score(f"p{number}", 2**53 - 1 - number), "event_type": "wide"} for number in range(12)]
    send(console, *events)
    eventually(lambda: console.api("GET", "/api/leaderboards/wide")["total"] == 12, 30)
    page = ann.page()
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(console.url + "/boards/wide")
    assert set(page.locator("tbody td:last-child").evaluate_all(LINES)) == {1}
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    # As docs/console.md has it.
    frame = f'<iframe src="{console.url}/boards/wide?embed=1" width="360" height="520"></iframe>'
    with serve_page(frame) as elsewhere:
        around = ann.context.browser.new_page() if ann.context.browser else None
        assert around is not None
        around.goto(elsewhere)
        around.frame_locator("iframe").locator("tbody tr").nth(9).wait_for()
        assert around.frames[1].evaluate("document.documentElement.scrollHeight <= innerHeight")
        around.close()


def test_a_form_that_is_too_long_is_told_so_and_keeps_what_was_typed(console: Console, ann: Watched) -> None:
    page = ann.page()
    page.goto(console.url + "/console/leaderboards/-/new")
    page.get_by_label("Key").fill("long")
    page.get_by_label("Only events where").evaluate("area => area.value = 'x'.repeat(300000)")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-where")).to_have_text("is too long for a form")
    expect(page.get_by_label("Only events where")).to_be_focused()
    expect(page.get_by_label("Key")).to_have_value("long")
    page.get_by_label("Only events where").fill("")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="long")).to_be_visible()


def test_the_way_back_after_a_form_that_was_refused_asks_for_no_second_sending(console: Console, ann: Watched) -> None:
    page = open_page(console, ann, "/console/leaderboards")
    page.get_by_role("link", name="New leaderboard").click()
    for event_type in ("no type", "no type!", "backwards"):
        page.fill("#f-key", "backwards")
        page.fill("#f-event_type", event_type)
        page.get_by_role("button", name="Create").click()
    expect(page.locator(".note")).to_have_text("Created.")
    for _ in range(3):
        page.go_back()
        expect(page.get_by_role("heading", name="New leaderboard")).to_be_visible()
        assert page.locator(".wrong").count() == 0
    page.go_back()
    expect(page.get_by_role("heading", name="Leaderboards", exact=True)).to_be_visible()
    # Where that is, it says of which zone the times are.
    expect(page.locator("#zone")).to_have_text(re.compile(r"^Times are in Asia/(Kolkata|Calcutta)$"))


def test_a_refusal_that_is_loaded_again_still_holds_what_was_typed(console: Console, ann: Watched) -> None:
    page = open_page(console, ann, "/console/leaderboards/-/new")
    page.fill("#f-title", "Typed")
    page.fill("#f-key", "Not a key")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#e-key")).to_be_visible()
    page.reload()
    expect(page.locator("#f-title")).to_have_value("Typed")
