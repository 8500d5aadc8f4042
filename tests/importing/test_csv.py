"""CSV: columns to fields, cells to values, and rows that are refused."""

import io
import json
from typing import Any

import pytest

from grandstand.importer.csv_mapping import CsvMapping
from grandstand.importer.csv_rows import read_csv
from grandstand.importer.errors import SourceError
from grandstand.importer.event_ids import EventIds
from grandstand.importer.lines import LINE_BYTES_MAX, Item

DIGEST = b"d" * 32


def items_of(text: str | bytes, maps=(), sets=(), texts=(), delimiter: str = ",") -> list[Item]:
    mapping = CsvMapping(maps, sets, texts, delimiter)
    content = text.encode() if isinstance(text, str) else text
    ids = EventIds(DIGEST, mapping.meaning())
    return list(read_csv(io.BufferedReader(io.BytesIO(content)), mapping, ids, "file.csv"))  # type: ignore[type-var]


def events_of(text: str | bytes, **options: Any) -> list[dict[str, Any]]:
    return [json.loads(item.event or b"null") for item in items_of(text, **options)]


def payload_of(cell: str, **options: Any) -> Any:
    (event,) = events_of(f"user_id,payload.v\na,{cell}\n", sets=["event_type=t"], **options)
    return event.get("payload", {}).get("v")


def test_columns_become_fields() -> None:
    (event,) = events_of(
        "player,points,when,note\nada,1200,2016-05-26 15:06:55,unused\n",
        maps=["user_id=player", "payload.score=points", "payload.run.points=points", "occurred_at=when"],
        sets=["event_type=game_ended", "payload.season=3"],
    )
    del event["id"]
    assert event == {
        "user_id": "ada",
        "event_type": "game_ended",
        "occurred_at": "2016-05-26T15:06:55+00:00",
        "payload": {"score": 1200, "season": 3, "run": {"points": 1200}},
    }


def test_a_column_that_is_named_like_a_field_needs_no_mapping() -> None:
    (event,) = events_of("user_id,event_type,id,payload.score,score\n007,game_ended,own,5,6\n")
    assert event == {"user_id": "007", "event_type": "game_ended", "id": "own", "payload": {"score": 5}}


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("12", 12), ("-3", -3), ("0", 0), ("1.50", 1.5), ("1e3", 1000.0), ("true", True), ("FALSE", False), ("", None),
        ("007", "007"), ("+1", "+1"), ("1.", "1."), ("yes", "yes"), ("NaN", "NaN"), ("1e400", "1e400"), (" 1", " 1"),
        ("9007199254740993", 9007199254740993), ("null", "null"),
    ],
)  # fmt: skip
def test_cells_become_values(cell: str, value: Any) -> None:
    found = payload_of(cell)
    assert found == value
    assert type(found) is type(value)


def test_a_field_can_be_kept_as_text() -> None:
    assert payload_of("12", texts=["payload.v"]) == "12"


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("2016-05-26T15:06:55Z", "2016-05-26T15:06:55+00:00"),
        ("2016-05-26 15:06:55.25", "2016-05-26T15:06:55.250000+00:00"),
        ("2016-05-26T15:06:55+02:00", "2016-05-26T15:06:55+02:00"),
        ("1464275215", "2016-05-26T15:06:55+00:00"),
        ("1464275215123", "2016-05-26T15:06:55.123000+00:00"),
        ("yesterday", "yesterday"),
        ("99999999999999999999", "99999999999999999999"),
    ],
)
def test_times_are_read_as_people_write_them(cell: str, time: str) -> None:
    (event,) = events_of(f"user_id,occurred_at\na,{cell}\n", sets=["event_type=t"])
    assert event["occurred_at"] == time


def test_quotes_lines_delimiters_and_marks() -> None:
    text = b'\xef\xbb\xbfuser_id;payload.note\r\n"a;b";"say ""hi""\r\nthere"\r\n\r\nc;d\r\n'
    items = items_of(text, sets=["event_type=t"], delimiter=";")
    events = [json.loads(item.event or b"") for item in items]
    assert [(event["user_id"], event["payload"]["note"]) for event in events] == [
        ("a;b", 'say "hi"\nthere'),
        ("c", "d"),
    ]
    assert [item.line for item in items] == [2, 5]
    assert [event["user_id"] for event in events_of("user_id\tx\na\tb\n", sets=["event_type=t"], delimiter="tab")] == [
        "a"
    ]


def test_bad_rows_are_refused_and_their_neighbours_are_not() -> None:
    text = b"user_id,payload.v\na,1\nb,2,3\n\xff,4\nc\n" + b"x" * (LINE_BYTES_MAX + 5) + b'\nd\re,6\nf,7\n"g,8\nh,9\n'
    items = items_of(text, sets=["event_type=t"])
    assert [(item.line, item.refusal.code if item.refusal else None) for item in items] == [
        (2, None),
        (3, "invalid_csv"),
        (4, "invalid_encoding"),
        (5, None),
        (6, "line_too_long"),
        (7, "invalid_csv"),
        (8, None),
        (9, "invalid_csv"),
    ]
    assert items[-1].refusal is not None
    assert "Lines 9 to 10" in items[-1].refusal.message


def test_ids_differ_where_the_same_rows_become_other_events() -> None:
    text = "user_id,a,b\nada,1,2\n"
    first = events_of(text, maps=["payload.v=a"], sets=["event_type=t"])
    again = events_of(text, maps=["payload.v=a"], sets=["event_type=t"])
    other = events_of(text, maps=["payload.v=b"], sets=["event_type=t"])
    assert first == again
    assert first[0]["id"] != other[0]["id"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"maps": ["user_id"]}, "--map 'user_id' is not of the form FIELD=COLUMN"),
        ({"maps": ["score=points"]}, "--map 'score' names no field"),
        ({"maps": ["payload.=points"]}, "names no field"),
        ({"maps": ["user_id=a", "user_id=b"]}, "--map gives user_id twice"),
        ({"maps": ["user_id=a"], "sets": ["user_id=b"]}, "--map and --set both give user_id"),
        ({"sets": ["id=1"]}, "every line the same id"),
        ({"texts": ["zip"]}, "--text 'zip' names no field"),
        ({"delimiter": "::"}, "--delimiter must be one character"),
        ({"maps": ["user_id=missing"]}, "has no column 'missing' for user_id"),
        ({"maps": ["user_id=twice"]}, "more than one column 'twice'"),
        ({"maps": ["user_id=player"]}, "Nothing gives event_type"),
        (
            {"maps": ["user_id=player", "payload.a=player", "payload.a.b=player"], "sets": ["event_type=t"]},
            "payload.a cannot be a value and hold payload.a.b",
        ),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(SourceError) as caught:
        items_of("player,twice,twice\nada,1,2\n", **options)
    assert words in str(caught.value)
