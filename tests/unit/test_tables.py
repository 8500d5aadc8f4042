"""Rows as CSV: what a player wrote never begins a formula."""

from typing import Any

import msgspec
from litestar import Request

from grandstand.api.tables import table_reply


class Row(msgspec.Struct):
    group: str
    size: int


def test_no_cell_begins_a_formula() -> None:
    wide = "\uff1d", "\uff0b", "\uff0d", "\uff20"
    groups = ["=cmd()", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", *wide, "DE", 'a"b,c', "a\n=1"]
    request: Request[Any, Any, Any] = Request({"type": "http", "headers": [(b"accept", b"text/csv")]})  # type: ignore[arg-type]
    lines = bytes(table_reply(request, {}, [Row(group, -1) for group in groups], Row).content).decode().split("\r\n")
    assert lines[0] == "group,size"
    assert lines[1] == "'=cmd(),-1"
    assert not [line for line in lines[1:] if line.strip('"').startswith(("=", "+", "-", "@", "\t", "\n", *wide))]
