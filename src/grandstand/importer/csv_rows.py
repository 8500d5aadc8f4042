"""CSV: the first line names the columns, every other one becomes an event."""

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from grandstand.importer.csv_mapping import CsvMapping, RowReader
from grandstand.importer.errors import SourceError
from grandstand.importer.event_ids import EventIds
from grandstand.importer.lines import LINE_BYTES_MAX, LINE_TOO_LONG, Item, Refusal, read_lines

_NOT_UTF8 = Refusal("invalid_encoding", "The line is not valid UTF-8.")
_WIDER = Refusal("invalid_csv", "The line has more cells than there are columns.")


class _Row(NamedTuple):
    line: int
    cells: list[str]
    refusal: Refusal | None
    size_bytes: int


def read_csv(content: io.BufferedReader, mapping: CsvMapping, ids: EventIds, name: str) -> Iterator[Item]:
    """Yield an item for each row that is not blank. A quoted cell may span lines.

    Raises:
        SourceError: the file does not begin with a header, or the mapping does not fit it.
    """
    rows = _Rows(content, mapping.delimiter)
    header = next(rows, None)
    if header is None or header.refusal is not None:
        raise SourceError(f"{name} does not begin with a line of column names.")
    reader = mapping.for_header([cell.strip() for cell in header.cells], name)
    size = header.size_bytes
    for row in rows:
        size += row.size_bytes
        if row.cells or row.refusal is not None:
            refusal = row.refusal or (_WIDER if len(row.cells) > reader.width else None)
            yield _item(row, refusal, reader, ids, size)
            size = 0


def _item(row: _Row, refusal: Refusal | None, reader: RowReader, ids: EventIds, size_bytes: int) -> Item:
    if refusal is None:
        event = reader.event(row.cells)
        event.setdefault("id", ids.of_line(row.line))
        try:
            return Item(row.line, msgspec.json.encode(event), None, size_bytes)
        except UnicodeEncodeError:  # the bytes that were no UTF-8 are surrogates now
            refusal = _NOT_UTF8
    return Item(row.line, None, refusal, size_bytes)


class _Rows(Iterator[_Row]):
    """The rows of a file, each with the number of its first line, which the standard reader does not tell."""

    def __init__(self, content: io.BufferedReader, delimiter: str) -> None:
        self._lines = read_lines(content)
        self._first = self._last = 0
        self._size = 0
        self._is_cut = False
        csv.field_size_limit(LINE_BYTES_MAX)
        self._reader = csv.reader(self._feed(), delimiter=delimiter, strict=True)

    def __next__(self) -> _Row:
        self._first, self._size, self._is_cut = self._last + 1, 0, False
        try:
            cells = next(self._reader)
            refusal = LINE_TOO_LONG if self._is_cut else None
        except csv.Error as error:
            cells, refusal = [], Refusal("invalid_csv", self._complaint(error))
        return _Row(self._first, cells, refusal, self._size)

    def _complaint(self, error: csv.Error) -> str:
        place = "The line is" if self._last == self._first else f"Lines {self._first} to {self._last} are"
        # Behind the dash stands advice for programmers.
        return f"{place} not CSV: {str(error).partition(' - ')[0]}."

    def _feed(self) -> Iterator[str]:
        for line in self._lines:
            self._last = line.number
            self._size += line.size_bytes
            if line.text is None:
                self._is_cut = True
                yield "\n"
            else:
                yield line.text.decode("utf-8", "surrogateescape") + "\n"
