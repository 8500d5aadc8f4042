"""Cuts a source into lines, in bounded memory whatever it holds."""

import io
from collections.abc import Iterator
from typing import NamedTuple

LINE_BYTES_MAX = 1_048_576
"""Bytes of the longest line that is sent. An event has some 17 KiB at most while its payload's limit is the default."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Refusal(NamedTuple):
    """Why a line is not taken; `code` is stable."""

    code: str
    message: str


class Line(NamedTuple):
    """One line: its number from 1, its text without the end of line (None when it is too long), and its size."""

    number: int
    text: bytes | None
    size_bytes: int


class Item(NamedTuple):
    """What a line comes to: the JSON text of an event, or why it is refused before it is sent.

    `line` is the number of its first line; `size_bytes` counts what was read since the item before.
    """

    line: int
    event: bytes | None
    refusal: Refusal | None
    size_bytes: int


LINE_TOO_LONG = Refusal("line_too_long", f"The line has more than {LINE_BYTES_MAX} bytes.")


def read_lines(content: io.BufferedReader) -> Iterator[Line]:
    """Yield every line, also the blank ones. A byte order mark at the beginning is left out."""
    number = 0
    while text := content.readline(LINE_BYTES_MAX + 1):
        number += 1
        size = len(text)
        if len(text) > LINE_BYTES_MAX and not text.endswith(b"\n"):
            while rest := content.readline(LINE_BYTES_MAX):
                size += len(rest)
                if rest.endswith(b"\n"):
                    break
            yield Line(number, None, size)
            continue
        if number == 1:
            text = text.removeprefix(_BYTE_ORDER_MARK)
        yield Line(number, text.rstrip(b"\r\n"), size)
