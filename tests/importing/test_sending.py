"""Chunks, refusals, bad moments of a server, and going on after them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from grandstand.importer import run
from grandstand.importer.errors import ServerError, SourceError
from grandstand.importer.report import NOT_LISTED
from grandstand.importer.run import CHUNK_BYTES_MAX, CHUNK_LINES_MAX, Import, ImportOptions
from grandstand.importer.sender import Sender, check_url
from grandstand.importer.source import Source
from tests.importing.stub import TAKE, Reply, Stub, problem, taken_with_rejected

KEY = "gs_server_tests-0123456789abcdef"


class Sayings:
    """A display that only remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.places: list[int] = []

    def begin(self, title: str, total_bytes: int) -> None:
        self.places.clear()

    def advance(self, done_bytes: int, lines: int = 0, refused: int = 0) -> None:
        self.places.append(done_bytes)

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Bench:
    """Imports one file of this test, any number of times, without waiting for real."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.ndjson"
        self.state = folder / "state"
        self.display = Sayings()
        self.waits: list[float] = []

    def write(self, count: int, *, first: int = 0, padding: int = 0) -> None:
        rows = [{"id": str(number), "pad": "x" * padding} for number in range(first, first + count)]
        self.path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    @contextmanager
    def importing(self, url: str, retry_seconds: float = 60.0, **options: bool) -> Iterator[Import]:
        with Source(str(self.path)) as source, Sender(url, KEY, retry_seconds, self.display.say, self.wait) as sender:
            yield Import(source, sender, self.display, ImportOptions(state_dir=self.state, **options))

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def run(self, url: str, retry_seconds: float = 60.0, **options: bool) -> Import:
        with self.importing(url, retry_seconds, **options) as this:
            this.run()
        return this

    def stop(self, url: str, retry_seconds: float = 60.0) -> tuple[Import, str]:
        """Run an import that must stop; return it with the reason."""
        with self.importing(url, retry_seconds) as this, pytest.raises(ServerError) as caught:
            this.run()
        return this, str(caught.value)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def in_turn(*replies: Reply) -> Callable[[list[bytes]], Reply]:
    """Give these replies, then take everything."""
    left = list(replies)
    return lambda lines: left.pop(0) if left else TAKE


def test_every_line_is_sent_once_and_in_order(bench: Bench, stub: Stub) -> None:
    bench.write(2 * CHUNK_LINES_MAX + 1)
    this = bench.run(stub.url)
    assert [event["id"] for event in stub.events()] == [str(number) for number in range(2 * CHUNK_LINES_MAX + 1)]
    assert [len(lines) for lines in stub.requests] == [CHUNK_LINES_MAX, CHUNK_LINES_MAX, 1]
    assert (this.report.taken, this.report.refused) == (2 * CHUNK_LINES_MAX + 1, 0)
    assert bench.display.places[-1] == bench.path.stat().st_size
    assert {headers["Authorization"] for headers in stub.headers} == {f"Bearer {KEY}"}
    assert not list(bench.state.iterdir())


def test_requests_stay_small_where_lines_are_long(bench: Bench, stub: Stub) -> None:
    bench.write(20, padding=100_000)
    bench.run(stub.url)
    assert len(stub.taken) == 20
    assert max(sum(map(len, lines)) for lines in stub.requests) <= CHUNK_BYTES_MAX


def test_refused_lines_are_counted_by_reason_with_their_lines_in_the_file(bench: Bench, stub: Stub) -> None:
    bench.path.write_text("\n".join(['{"id":"1"}', "", '{"id":"2"}', "", '{"id":"3"}', '{"id":"4"}']))
    refusals = [(2, "invalid_user_id", "No."), (3, "invalid_user_id", "No!"), (4, "invalid_event", "What?")]
    stub.decide = in_turn(taken_with_rejected(*refusals))
    this = bench.run(stub.url)
    assert (this.report.taken, this.report.refused) == (1, 3)
    assert [(e.line, e.message) for e in this.report.refusals["invalid_user_id"].examples] == [(3, "No."), (5, "No!")]
    assert "  2 refused as invalid_user_id\n    line 3: No.\n    line 5: No!" in this.summary
    assert "  1 refused as invalid_event\n    line 6: What?" in this.summary


def test_examples_are_few_and_the_count_is_whole(bench: Bench, stub: Stub) -> None:
    bench.write(10)
    stub.decide = in_turn(taken_with_rejected(*[(line, "invalid_event", "No.") for line in range(1, 6)], count=8))
    report = bench.run(stub.url).report
    assert (report.taken, report.refused) == (2, 8)
    assert report.refusals["invalid_event"].count == 5
    assert [example.line for example in report.refusals["invalid_event"].examples] == [1, 2, 3]
    assert report.refusals[NOT_LISTED].count == 3


@pytest.mark.parametrize("reply", [problem(503, "Away."), problem(429, "Slow down."), problem(502, ""), (0, {}, None)])
def test_a_bad_moment_is_waited_out(bench: Bench, stub: Stub, reply: Reply) -> None:
    bench.write(3)
    stub.decide = in_turn(reply, reply)
    this = bench.run(stub.url)
    assert this.report.taken == len(stub.taken) == 3
    assert len(bench.waits) == 2
    assert len(bench.display.said) == 2
    assert "trying again for up to 60 s" in bench.display.said[0]
    assert bench.display.said[1] == "The server answers again."


def test_the_server_says_how_long_to_wait(bench: Bench, stub: Stub) -> None:
    bench.write(1)
    stub.decide = in_turn(problem(429, "Slow down.", Retry_After="7"))
    bench.run(stub.url)
    assert bench.waits == [7.0]


def test_waits_grow_and_end(bench: Bench, monkeypatch: pytest.MonkeyPatch, stub: Stub) -> None:
    bench.write(1)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(
        bench, "wait", lambda seconds: (bench.waits.append(seconds), now.__setitem__(0, now[0] + seconds))
    )
    stub.decide = lambda lines: problem(503, "The stream is away.")
    _, reason = bench.stop(stub.url, retry_seconds=30)
    assert reason.endswith("takes nothing right now (The stream is away).")
    assert 10 < sum(bench.waits) <= 30
    assert bench.waits[0] <= 0.2 < bench.waits[-2]


def test_a_stopped_import_goes_on_where_it_was(bench: Bench, stub: Stub) -> None:
    bench.write(3 * CHUNK_LINES_MAX)
    stub.decide = in_turn(TAKE, taken_with_rejected((5, "invalid_event", "No.")), problem(503, "Away."))
    stopped, _ = bench.stop(stub.url, retry_seconds=0)
    assert stopped.line == 2 * CHUNK_LINES_MAX
    stub.requests.clear()
    this = bench.run(stub.url)
    assert [len(lines) for lines in stub.requests] == [CHUNK_LINES_MAX]
    assert (this.report.taken, this.report.refused) == (3 * CHUNK_LINES_MAX - 1, 1)
    assert this.report.refusals["invalid_event"].examples[0].line == CHUNK_LINES_MAX + 5
    assert any("Going on after line 2,000" in sentence for sentence in bench.display.said)
    assert bench.display.places[-1] == bench.path.stat().st_size
    assert not list(bench.state.iterdir())


def test_ctrl_c_keeps_the_progress_and_counts_nothing_twice(
    bench: Bench, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.path.write_text('{"id":"1"}\n' * CHUNK_LINES_MAX + "x" * (run.CHUNK_BYTES_MAX * 2) + '\n{"id":"2"}\n')

    def interrupted(self: Sender, events: list[bytes]) -> None:
        raise KeyboardInterrupt

    with bench.importing(stub.url) as this:
        send = Sender.send
        monkeypatch.setattr(
            Sender, "send", lambda self, events: send(self, events) if not stub.taken else interrupted(self, events)
        )
        with pytest.raises(KeyboardInterrupt):
            this.run()
    assert (this.line, this.report.refused) == (CHUNK_LINES_MAX, 0)
    monkeypatch.setattr(Sender, "send", send)
    again = bench.run(stub.url)
    assert (again.report.taken, again.report.refused) == (CHUNK_LINES_MAX + 1, 1)
    assert again.report.refusals["line_too_long"].examples[0].line == CHUNK_LINES_MAX + 1


def test_restart_begins_anew(bench: Bench, stub: Stub) -> None:
    bench.write(2 * CHUNK_LINES_MAX)
    stub.decide = in_turn(TAKE, problem(503, "Away."))
    bench.stop(stub.url, retry_seconds=0)
    stub.taken.clear()
    this = bench.run(stub.url, restart=True)
    assert this.report.taken == len(stub.taken) == 2 * CHUNK_LINES_MAX


def test_progress_belongs_to_one_content_and_one_server(bench: Bench, stub: Stub) -> None:
    bench.write(2 * CHUNK_LINES_MAX)
    stub.decide = in_turn(TAKE, problem(503, "Away."))
    bench.stop(stub.url, retry_seconds=0)
    stub.taken.clear()
    bench.run(stub.url.replace("127.0.0.1", "localhost"))
    assert len(stub.taken) == 2 * CHUNK_LINES_MAX
    stub.taken.clear()
    bench.write(2 * CHUNK_LINES_MAX, first=1)
    bench.run(stub.url)
    assert len(stub.taken) == 2 * CHUNK_LINES_MAX


def test_progress_that_cannot_be_kept_is_said_once_and_stops_nothing(bench: Bench, stub: Stub) -> None:
    bench.state.write_text("a file where a folder should be")
    bench.write(3 * CHUNK_LINES_MAX)
    assert bench.run(stub.url).report.taken == 3 * CHUNK_LINES_MAX
    assert [sentence for sentence in bench.display.said if "cannot be kept" in sentence] == bench.display.said


def test_progress_that_cannot_be_read_begins_anew(bench: Bench, stub: Stub) -> None:
    bench.write(2 * CHUNK_LINES_MAX)
    stub.decide = in_turn(TAKE, problem(503, "Away."))
    bench.stop(stub.url, retry_seconds=0)
    for path in bench.state.iterdir():
        path.write_bytes(b"{")
    stub.taken.clear()
    bench.run(stub.url)
    assert len(stub.taken) == 2 * CHUNK_LINES_MAX


def test_a_body_that_is_too_large_for_a_proxy_is_sent_in_parts(bench: Bench, stub: Stub) -> None:
    bench.path.write_text(
        "".join(json.dumps({"id": str(n), "pad": "x" * (50 if n != 3 else 5000)}) + "\n" for n in range(9))
    )
    stub.decide = lambda lines: TAKE if sum(map(len, lines)) <= 200 else problem(413, "Too large.")
    this = bench.run(stub.url)
    assert [event["id"] for event in stub.events()] == [str(n) for n in range(9) if n != 3]
    assert (this.report.taken, this.report.refused) == (8, 1)
    assert this.report.refusals["body_too_large"].examples[0].line == 4


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (problem(401, "This key is unknown or revoked."), "refuses the key: This key is unknown or revoked."),
        (problem(403, "Not with a client key."), "refuses the key: Not with a client key."),
        (problem(404, "Nothing here."), "takes no imports (404 at /api/events/import): check the URL."),
        (problem(301, "", Location="https://game.example"), "sends on to https://game.example: use that as the URL."),
        (problem(500, "Something went wrong on our side."), "refuses the request (500): Something went wrong"),
        ((200, {}, b"<html>Welcome</html>"), "is no Grandstand: check the URL."),
        ((400, {}, b"<html>"), "refuses the request (400): 400 Bad Request."),
    ],
)
def test_what_waiting_does_not_mend_stops_at_once(bench: Bench, stub: Stub, reply: Reply, words: str) -> None:
    bench.write(1)
    stub.decide = in_turn(reply)
    _, reason = bench.stop(stub.url)
    assert words in reason
    assert not bench.waits


def test_a_server_that_is_not_there_is_said_in_words(bench: Bench, stub: Stub) -> None:
    bench.write(1)
    _, reason = bench.stop("http://127.0.0.1:1", retry_seconds=0)
    assert reason == "The server at http://127.0.0.1:1 cannot be reached (connection refused)."


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8080",
        "ftp://host",
        "http://",
        "http://me:secret@host",
        "http://host/?q=1",
        "http://[::1",
        "http://h:x",
    ],
)
def test_a_url_that_cannot_be_right_is_refused(url: str) -> None:
    with pytest.raises(SourceError):
        check_url(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "https://game.example/backend/", "http://[::1]:8080"])
def test_a_url_may_have_a_path(url: str) -> None:
    check_url(url)


def test_a_proxy_of_the_environment_is_not_used_on_this_machine(
    bench: Bench, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    bench.write(1)
    assert bench.run(stub.url).report.taken == 1


def test_a_key_that_no_header_can_carry_is_refused() -> None:
    with pytest.raises(SourceError, match="characters that no key has"):
        Sender("http://127.0.0.1", "gs_server_\nx", 0, lambda text: None)
