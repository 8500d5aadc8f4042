"""Rows as JSON or, where the request's `Accept` prefers it, as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response

from grandstand.api.replies import JSON, Reply, json_reply

CSV = "text/csv"
HEADERS = ((b"cache-control", b"private, no-store"), (b"vary", b"Authorization, Accept"))
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")
"""What spreadsheets take for the beginning of a formula, in either width."""


def table_reply(
    request: Request[Any, Any, Any], content: Any, rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct]
) -> Response[bytes]:
    """Return `content` as JSON or its `rows`, of the struct `kind`, as `csv_of` has them."""
    if request.accept.best_match([JSON, CSV], JSON) == JSON:
        return json_reply(content, headers=HEADERS).as_response()
    return Reply(200, csv_of(rows, kind), CSV, HEADERS).as_response()


def csv_of(rows: Sequence[msgspec.Struct], kind: type[msgspec.Struct]) -> bytes:
    """Return rows of the struct `kind` as CSV (RFC 4180, UTF-8, a header line first)."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    names = kind.__struct_fields__
    writer.writerow(names)
    for row in rows:
        values = msgspec.to_builtins(row)
        writer.writerow([_cell(values[name]) for name in names])
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    # What came from players must not become a formula in whatever opens the file.
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
