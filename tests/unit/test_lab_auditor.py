"""The auditor's books tell lost from doubled, and its eyes see what no server may answer."""

import random
from uuid import uuid4

import msgspec
import pytest

from grandstand.lab.auditor import Auditor, Books
from grandstand.lab.load_model import LoadModel
from grandstand.lab.traffic import Batch, Read, Traffic


@pytest.fixture
def auditor() -> Auditor:
    return Auditor(Traffic(LoadModel(1_000), "lab", "key", 1))


def accept(auditor: Auditor, ids: list[int], score: int | None = None) -> None:
    body = msgspec.json.encode({"accepted": len(ids), "rejected": []})
    assert auditor.judge_batch(Batch("ann", ids, b"", int(score is not None), score), 202, body)


def test_what_is_stored_once_is_right(auditor: Auditor) -> None:
    ids = [uuid4().int for _ in range(1_000)]
    accept(auditor, ids)
    stored = Books()
    random.Random(1).shuffle(ids)
    for event_id in ids:
        stored.add(event_id)
    auditor.close_events(stored)
    assert auditor.is_clean


@pytest.mark.parametrize(("missing", "twice"), [(1, 0), (0, 1), (3, 0), (0, 3), (2, 5)])
def test_lost_and_doubled_are_counted(auditor: Auditor, missing: int, twice: int) -> None:
    ids = [uuid4().int for _ in range(200)]
    accept(auditor, ids)
    stored = Books()
    for event_id in ids[missing:] + ids[-twice:] * bool(twice):
        stored.add(event_id)
    auditor.close_events(stored)
    assert auditor.doubled - auditor.lost == twice - missing
    assert not auditor.is_clean


def test_another_event_in_the_place_of_a_lost_one_is_seen(auditor: Auditor) -> None:
    accept(auditor, [65_536 + 7])
    stored = Books()
    stored.add(2 * 65_536 + 7)
    auditor.close_events(stored)
    assert (auditor.lost, auditor.doubled) == (1, 1)


@pytest.mark.parametrize(
    "entries",
    [
        [(1, "ann", 5), (3, "bob", 4)],
        [(1, "ann", 5), (1, "bob", 5)],
        [(1, "ann", 4), (2, "bob", 5)],
    ],
)
def test_pages_that_cannot_be_are_seen(auditor: Auditor, entries: list[tuple[int, str, int]]) -> None:
    page = {
        "total": 9,
        "entries": [{"rank": rank, "user_id": user, "score": score} for rank, user, score in entries],
        "next_cursor": None,
    }
    auditor.judge_read(Read("top", "ann", b""), 200, msgspec.json.encode(page))
    assert auditor.wrong == 1


def test_a_score_that_goes_down_is_seen(auditor: Auditor) -> None:
    for score, least in ((9, -1), (7, 9)):
        body = msgspec.json.encode({"rank": 1, "user_id": "ann", "score": score, "total": 3})
        auditor.judge_read(Read("rank", "ann", b"", least), 200, body)
    assert auditor.wrong == 1


def test_the_board_is_the_best_of_what_was_acknowledged(auditor: Auditor) -> None:
    accept(auditor, [1], 5)
    accept(auditor, [2], 3)
    auditor.close_board({"ann": 5})
    assert auditor.is_clean
    auditor.close_board({"ann": 3})
    assert auditor.wrong == 1
