"""The auditor's books tell lost from doubled, and its eyes see what no server may answer."""

import random
from datetime import UTC, datetime, timedelta
from itertools import combinations

import msgspec
import pytest

from grandstand.lab.audit import Audit, Entry
from grandstand.lab.auditor import Auditor, Books
from grandstand.lab.load_model import BATCH_EVENTS_MAX
from grandstand.lab.traffic import ID_BITS, PLACE_BITS, Batch, Read

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)
MOMENT_US = int(MOMENT.timestamp()) * 1_000_000 + 678
randomly = random.Random(1)


@pytest.fixture
def auditor() -> Auditor:
    return Auditor()


def new_number() -> int:
    return randomly.getrandbits(ID_BITS - PLACE_BITS)


def batch(
    number: int, score: int | None = None, user_id: str = "ann", cup: int = 0, events: int = 1, later: int = 0
) -> Batch:
    return Batch(
        user_id, number, events, b"", int(score is not None), score, int(cup != 0), cup, MOMENT_US + later
    )  # fmt: skip


def many(count: int) -> list[Batch]:
    return [batch(new_number(), events=randomly.randint(1, BATCH_EVENTS_MAX)) for _ in range(count)]


def ids_of(batches: list[Batch]) -> list[int]:
    return [event_id for each in batches for event_id in each.event_ids]


def answer(auditor: Auditor, sent: Batch, status: int = 202, *, again: bool = False) -> bool:
    body = msgspec.json.encode({"accepted": sent.events, "rejected": []})
    return auditor.judge_batch(sent, status, body, again=again)


def audit_of(auditor: Auditor) -> Audit:
    return Audit([auditor.account()])


def entry(rank: int, user_id: str, score: int, later: int = 0) -> Entry:
    return Entry(rank, user_id, score, MOMENT + timedelta(microseconds=later))


def books_of(ids: list[int]) -> Books:
    books = Books()
    for event_id in ids:
        books.add(event_id)
    return books


def test_what_is_stored_once_is_right(auditor: Auditor) -> None:
    batches = many(200)
    for each in batches:
        answer(auditor, each)
        answer(auditor, each, again=True)
    ids = ids_of(batches)
    random.Random(1).shuffle(ids)
    audit = audit_of(auditor)
    audit.close_events(books_of(ids))
    assert audit.is_clean


@pytest.mark.parametrize(("missing", "twice"), [(1, 0), (0, 1), (3, 0), (0, 3), (2, 5)])
def test_lost_and_doubled_are_counted(auditor: Auditor, missing: int, twice: int) -> None:
    batches = many(30)
    for each in batches:
        answer(auditor, each)
    ids = ids_of(batches)
    audit = audit_of(auditor)
    audit.close_events(books_of(ids[missing:] + ids[-twice:] * bool(twice)))
    assert audit.doubled - audit.lost == twice - missing
    assert not audit.is_clean


def test_another_event_in_the_place_of_a_lost_one_is_seen(auditor: Auditor) -> None:
    answer(auditor, batch(65_536 + 7))
    audit = audit_of(auditor)
    audit.close_events(books_of(batch(2 * 65_536 + 7).event_ids))
    assert (audit.lost, audit.doubled) == (1, 1)


def test_two_wrong_events_of_a_request_do_not_look_like_two_right_ones(auditor: Auditor) -> None:
    whole = batch(new_number(), events=BATCH_EVENTS_MAX)
    answer(auditor, whole)
    audit = audit_of(auditor)
    ids = whole.event_ids
    sums = [sum(pair) for pair in combinations(ids, 2)]
    assert len(set(sums)) == len(sums)
    audit.close_events(books_of(ids[2:] + ids[2:4]))
    assert (audit.lost, audit.doubled) == (1, 1)


@pytest.mark.parametrize("body", [{"accepted": 2, "rejected": []}, {"accepted": 3, "rejected": [{"index": 0}]}])
def test_a_valid_batch_that_is_not_taken_as_a_whole_is_seen(auditor: Auditor, body: dict[str, object]) -> None:
    auditor.judge_batch(batch(new_number(), events=3), 202, msgspec.json.encode(body))
    assert auditor.wrong == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"rank":"1"}', b'{"accepted":', b"\xff"])
def test_an_answer_that_cannot_be_read_is_seen(auditor: Auditor, body: bytes) -> None:
    assert auditor.judge_batch(batch(new_number()), 202, body)
    for kind in ("rank", "nearby", "top", "tournament", "prizes"):
        assert auditor.judge_read(Read(kind, "ann", b""), 200, body) is None
    assert auditor.wrong == 6


def test_the_books_of_several_generators_are_one(auditor: Auditor) -> None:
    other = Auditor()
    first, second = batch(new_number(), 5, events=4), batch(new_number(), 7, "bob", events=9)
    answer(auditor, first)
    answer(other, second)
    audit = Audit([auditor.account(), other.account()])
    audit.close_events(books_of(ids_of([first, second])))
    audit.close_board([entry(1, "bob", 7), entry(2, "ann", 5)], 2)
    assert audit.is_clean, audit.findings


@pytest.mark.parametrize(
    "entries",
    [
        [(1, "ann", 5), (3, "bob", 4)],
        [(1, "ann", 5), (1, "bob", 5)],
        [(1, "ann", 4), (2, "bob", 5)],
        [(2, "ann", 5), (3, "bob", 4)],
    ],
)
def test_pages_that_cannot_be_are_seen(auditor: Auditor, entries: list[tuple[int, str, int]]) -> None:
    page = {"total": 9, "entries": [{"rank": rank, "user_id": user, "score": score} for rank, user, score in entries]}
    auditor.judge_read(Read("top", "ann", b""), 200, msgspec.json.encode(page))
    assert auditor.wrong == 1


def test_a_score_that_goes_down_or_away_is_seen(auditor: Auditor) -> None:
    body = msgspec.json.encode({"rank": 1, "user_id": "ann", "score": 7, "total": 3})
    auditor.judge_read(Read("rank", "ann", b"", 9), 200, body)
    assert auditor.wrong == 1
    auditor.judge_read(Read("rank", "ann", b"", 9), 404, b"")
    assert auditor.wrong == 2
    auditor.judge_read(Read("rank", "ann", b""), 404, b"")
    assert (auditor.wrong, auditor.errors) == (2, 0)


@pytest.mark.parametrize(
    ("entries", "total", "is_clean"),
    [
        ([entry(1, "ann", 5), entry(2, "bob", 5, 1)], 2, True),
        ([entry(1, "bob", 5, 1), entry(2, "ann", 5)], 2, False),
        ([entry(1, "ann", 5), entry(3, "bob", 5, 1)], 2, False),
        ([entry(1, "ann", 5), entry(2, "bob", 5, 1)], 3, False),
        ([entry(1, "ann", 5), entry(2, "bob", 4, 1)], 2, False),
        ([entry(1, "ann", 5), entry(2, "bob", 5, 2)], 2, False),
        ([entry(1, "ann", 5)], 1, False),
        ([entry(1, "ann", 5), entry(2, "bob", 5, 1), entry(3, "eve", 1)], 3, False),
    ],
)
def test_the_board_is_the_best_of_what_was_acknowledged(
    auditor: Auditor, entries: list[Entry], total: int, is_clean: bool
) -> None:
    answer(auditor, batch(1, 5))
    answer(auditor, batch(2, 3))
    answer(auditor, batch(3, 5, "bob", later=1))
    audit = audit_of(auditor)
    audit.close_board(entries, total)
    assert audit.is_clean is is_clean


def test_an_event_that_counts_twice_is_in_the_sum(auditor: Auditor) -> None:
    answer(auditor, batch(1, 5, cup=5))
    answer(auditor, batch(1, 5, cup=5), again=True)
    audit = audit_of(auditor)
    audit.close_cup([entry(1, "ann", 5)], 1)
    assert audit.is_clean
    audit.close_cup([entry(1, "ann", 10)], 1)
    assert not audit.is_clean


@pytest.mark.parametrize("status", [0, 500, 502, 503, 504])
def test_events_without_an_answer_may_be_there_or_not(auditor: Auditor, status: int) -> None:
    answer(auditor, batch(1, 5))
    unheard = batch(2, 9, events=2)
    assert not answer(auditor, unheard, status)
    audit = audit_of(auditor)
    assert audit.unknown == set(unheard.event_ids)
    audit.close_board([entry(1, "ann", 9, 3)], 1)
    audit.close_board([entry(1, "ann", 5)], 1)
    assert audit.is_clean
    assert audit.errors == 1


def test_a_rank_that_is_told_otherwise_is_seen(auditor: Auditor) -> None:
    audit = audit_of(auditor)
    audit.close_rank(entry(3, "ann", 5), 3)
    assert audit.is_clean
    audit.close_rank(entry(3, "ann", 5), 2)
    assert not audit.is_clean
