"""What files look like, and how they are read: compression, encodings, lines, damage."""

import bz2
import gzip
import io
import json
import os
import threading
from pathlib import Path

import pytest
import zstandard

from grandstand.importer.compression import open_content
from grandstand.importer.errors import SourceError
from grandstand.importer.event_ids import EventIds
from grandstand.importer.lines import LINE_BYTES_MAX, Item, read_lines
from grandstand.importer.ndjson import read_ndjson
from grandstand.importer.source import Source

IDS = EventIds(b"d" * 32)
LINES = b"".join(b'{"id":"%d"}\n' % number for number in range(20_000))


def items_of(content: bytes) -> list[Item]:
    return list(read_ndjson(io.BufferedReader(io.BytesIO(content)), IDS, "file"))  # type: ignore[type-var]


def examine(path: Path) -> int:
    with Source(str(path)) as source:
        return source.examine(lambda done: None).size_bytes


@pytest.mark.parametrize(
    "packed",
    [
        LINES,
        gzip.compress(LINES),
        gzip.compress(LINES[:100]) + gzip.compress(LINES[100:]),
        zstandard.ZstdCompressor().compress(LINES),
        zstandard.ZstdCompressor().compress(LINES[:100]) + zstandard.ZstdCompressor().compress(LINES[100:]),
    ],
    ids=["plain", "gzip", "gzip of two members", "zstd", "zstd of two frames"],
)
def test_the_content_says_how_it_is_compressed(packed: bytes) -> None:
    assert open_content(io.BytesIO(packed), "no.suffix").read() == LINES


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress], ids=["gzip", "zstd"])
def test_a_file_that_was_cut_off_is_refused_before_anything_is_sent(tmp_path: Path, pack) -> None:
    path = tmp_path / "events"
    path.write_bytes(pack(LINES)[:-7])
    with pytest.raises(SourceError, match="is damaged, so nothing of it was sent"):
        examine(path)


def test_damage_in_the_middle_is_found(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LINES))
    packed[len(packed) // 2] ^= 0xFF
    path = tmp_path / "events.gz"
    path.write_bytes(packed)
    with pytest.raises(SourceError, match="is damaged"):
        examine(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty"),
        ('{"id":1}'.encode("utf-16"), "is in UTF-16"),
        (b"PK\x03\x04 and so on", "is a zip archive"),
        (bz2.compress(b"{}"), "is a bzip2 file"),
    ],
)
def test_what_is_not_read_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "events"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=words):
        examine(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        Source(str(tmp_path / "nothing"))
    with pytest.raises(SourceError, match="is a folder"):
        Source(str(tmp_path))


def test_a_json_array_is_refused_with_the_way_out() -> None:
    with pytest.raises(SourceError, match="one event a line"):
        items_of(b'\n  [{"id": 1}]')


def test_blank_lines_carriage_returns_and_a_byte_order_mark_do_no_harm() -> None:
    items = items_of(b'\xef\xbb\xbf{"id":"1"}\r\n\r\n   \n\t{"id":"2"} \r\n{"id":"3"}')
    assert [(item.line, item.event) for item in items] == [(1, b'{"id":"1"}'), (4, b'{"id":"2"}'), (5, b'{"id":"3"}')]


def test_a_line_that_is_too_long_is_refused_and_its_neighbours_are_not() -> None:
    content = b'{"id":"1"}\n' + b"x" * (3 * LINE_BYTES_MAX) + b'\n{"id":"3"}\n' + b"y" * (LINE_BYTES_MAX + 1)
    items = items_of(content)
    assert [(item.line, item.refusal and item.refusal.code) for item in items] == [
        (1, None), (2, "line_too_long"), (3, None), (4, "line_too_long"),
    ]  # fmt: skip
    assert sum(item.size_bytes for item in items) == len(content)


def test_the_longest_line_is_still_taken() -> None:
    lines = list(read_lines(io.BufferedReader(io.BytesIO(b"x" * LINE_BYTES_MAX + b"\n"))))  # type: ignore[type-var]
    assert [len(line.text or b"") for line in lines] == [LINE_BYTES_MAX]


def test_what_is_no_utf_8_goes_to_the_server_as_it_is() -> None:
    (item,) = items_of(b'{"id":"1","user_id":"\xff"}\n')
    assert item.event == b'{"id":"1","user_id":"\xff"}'


def test_a_line_without_an_id_gets_one() -> None:
    first, second = items_of(b'{"user_id":"a"}\n{"user_id":"a"}\n')
    events = [json.loads(item.event or b"") for item in (first, second)]
    assert events[0]["id"] == IDS.of_line(1)
    assert events[1]["id"] == IDS.of_line(2)


def test_what_cannot_be_rewound_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(LINES),))
    writer.start()
    with Source(str(path)) as source:
        assert source.examine(lambda done: None).size_bytes == len(LINES)
        with source.open_content() as content:
            assert content.read() == LINES
    writer.join()
