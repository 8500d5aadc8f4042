"""NDJSON: one event a line, as `POST /api/events` takes it."""

import io
from collections.abc import Iterator

from grandstand.importer.errors import SourceError
from grandstand.importer.event_ids import EventIds, with_id
from grandstand.importer.lines import LINE_TOO_LONG, Item, read_lines

_SPACE = b" \t\r\n"


def read_ndjson(content: io.BufferedReader, ids: EventIds, name: str) -> Iterator[Item]:
    """Yield an item for each line that is not blank.

    Raises:
        SourceError: the content is a JSON array and not lines.
    """
    size, is_first = 0, True
    for line in read_lines(content):
        size += line.size_bytes
        event = None if line.text is None else line.text.strip(_SPACE)
        if event == b"":
            continue
        if is_first and event is not None and event[:1] == b"[":
            raise SourceError(f"{name} holds a JSON array: write one event a line (`jq -c '.[]'` does).")
        is_first = False
        if event is None:
            yield Item(line.number, None, LINE_TOO_LONG, size)
        else:
            yield Item(line.number, with_id(event, ids.of_line(line.number)), None, size)
        size = 0
