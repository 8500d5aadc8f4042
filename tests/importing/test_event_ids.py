"""Ids for lines that have none: the same for the same line of the same file, different everywhere else."""

import json
from uuid import RFC_4122, UUID

import pytest

from grandstand.importer.event_ids import EventIds, with_id

DIGEST = bytes(range(32))
LAST_LINE = 2**40 - 1


def test_an_id_follows_from_content_meaning_and_line() -> None:
    ids = EventIds(DIGEST, b"as scores")
    assert ids.of_line(7) == EventIds(DIGEST, b"as scores").of_line(7)
    others = [EventIds(DIGEST, b"as purchases"), EventIds(DIGEST), EventIds(DIGEST[::-1], b"as scores")]
    assert len({ids.of_line(7), ids.of_line(8), *(other.of_line(7) for other in others)}) == 5


def test_ids_are_made_as_rfc_9562_says_and_rise_with_the_line() -> None:
    ids = [UUID(EventIds(DIGEST).of_line(line)) for line in (1, 2, 3, 1_000, 1_000_000, LAST_LINE)]
    assert {(one.version, one.variant) for one in ids} == {(8, RFC_4122)}
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "event", [b"{}", b'{"a":1}', b'{ "a" : {"id": "inner"} }', b'{"id":null}', b'{"id" : null, "a":[1]}']
)
def test_an_event_without_an_id_gets_it(event: bytes) -> None:
    assert json.loads(with_id(event, "new")) == json.loads(event) | {"id": "new"}


@pytest.mark.parametrize("event", [b'{"id":"own"}', b'{"\\u0069d":"own"}', b'{"id":5}', b'{"id":""}'])
def test_an_id_is_left_as_it_is(event: bytes) -> None:
    assert with_id(event, "new") == event


@pytest.mark.parametrize("event", [b"nonsense", b"[1]", b'"text"', b'{"a":1,}', b'{"a":', b"\xff\xfe", b"[" * 20_000])
def test_what_is_no_event_is_left_for_the_server_to_refuse(event: bytes) -> None:
    assert with_id(event, "new") == event
