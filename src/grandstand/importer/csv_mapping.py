"""Says which column of a CSV file becomes which field of an event, and how cells become JSON values."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from grandstand.importer.errors import SourceError

FIELDS = ("id", "event_type", "user_id", "occurred_at")
NEEDED = ("event_type", "user_id")
_PAYLOAD = "payload."
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
_NUMBER_LENGTH_MAX = 300
_WORDS = {"true": True, "false": False}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_FROM = 100_000_000_000
"""Whole numbers from here on are milliseconds since 1970: as seconds they would lie beyond the year 5000."""


class CsvMapping:
    """What `--map`, `--set` and `--text` say, checked before the file is read."""

    def __init__(self, maps: Sequence[str], sets: Sequence[str], texts: Sequence[str], delimiter: str) -> None:
        """Read the options.

        Raises:
            SourceError: one of them is wrong; the message names it.
        """
        self.columns = _read_pairs("--map", "FIELD=COLUMN", maps)
        self.constants = _read_pairs("--set", "FIELD=VALUE", sets)
        self.texts = frozenset(texts)
        self.delimiter = {"tab": "\t", r"\t": "\t"}.get(delimiter, delimiter)
        for target in texts:
            _check_target("--text", target)
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n':
            raise SourceError("--delimiter must be one character, or the word tab.")
        if "id" in self.constants:
            raise SourceError("--set id would give every line the same id, and an id counts once: leave it out.")
        for target in self.constants:
            if target in self.columns:
                raise SourceError(f"--map and --set both give {target}: leave one out.")

    def meaning(self) -> bytes:
        """Return bytes that differ for mappings that make different events of the same line."""
        return msgspec.json.encode(
            [self.columns, self.constants, sorted(self.texts), self.delimiter], order="deterministic"
        )

    def for_header(self, header: Sequence[str], name: str) -> "RowReader":
        """Return the reader of rows under this header. A column that is named like a field needs no mapping.

        Raises:
            SourceError: a column is missing or there twice, or nothing gives a field that every event needs.
        """
        shown = ", ".join(column or "(no name)" for column in header[:20])
        columns = {column: column for column in header if _is_target(column) and column not in self.constants}
        columns |= self.columns
        places: dict[str, int] = {}
        for target, column in columns.items():
            if header.count(column) != 1:
                problem = "no column" if column not in header else "more than one column"
                raise SourceError(f"{name} has {problem} {column!r} for {target} (its columns: {shown}).")
            places[target] = header.index(column)
        for target in NEEDED:
            if target not in places and target not in self.constants:
                raise SourceError(
                    f"Nothing gives {target}: add --map {target}=COLUMN or --set {target}=VALUE "
                    f"({name} has the columns {shown})."
                )
        _check_nesting([*places, *self.constants])
        return RowReader(places, self.constants, self.texts, len(header))


class RowReader:
    """Turns rows into events."""

    def __init__(
        self, places: Mapping[str, int], constants: Mapping[str, str], texts: frozenset[str], width: int
    ) -> None:
        self.width = width
        self._places = [(target, _path(target), place, target in texts) for target, place in places.items()]
        self._constants = [(target, _path(target), value, target in texts) for target, value in constants.items()]

    def event(self, row: Sequence[str]) -> dict[str, Any]:
        """Return the event of a row; empty and missing cells are left out."""
        event: dict[str, Any] = {}
        for target, path, value, is_text in self._constants:
            _put(event, path, _value(target, value, is_text=is_text))
        for target, path, place, is_text in self._places:
            if place < len(row) and row[place] != "":
                _put(event, path, _value(target, row[place], is_text=is_text))
        return event


def infer(text: str) -> Any:
    """Return the JSON value of a cell: a number or a truth value when it looks like one, else the text.

    Digits with leading zeros stay text, and numbers keep every digit.
    """
    if _NUMBER.match(text) and len(text) <= _NUMBER_LENGTH_MAX and math.isfinite(float(text)):
        return msgspec.Raw(text.encode())
    return _WORDS.get(text.lower(), text)


def read_time(text: str) -> str:
    """Return a time as RFC 3339: without an offset it is UTC, and a whole number is seconds or milliseconds since 1970.

    A text that is no time comes back as it is; the server says what is wrong with it.
    """
    try:
        if text.isascii() and text.isdigit():
            number = int(text)
            step = timedelta(milliseconds=1) if number >= _MILLISECONDS_FROM else timedelta(seconds=1)
            return (_EPOCH + number * step).isoformat()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError):
        return text


def _value(target: str, text: str, *, is_text: bool) -> Any:
    if target == "occurred_at":
        return read_time(text)
    return text if is_text or target in FIELDS else infer(text)


def _put(event: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    place = event
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value


def _path(target: str) -> tuple[str, ...]:
    return tuple(target.split("."))


def _read_pairs(option: str, form: str, pairs: Sequence[str]) -> dict[str, str]:
    result: dict[str, str] = {}
    for pair in pairs:
        target, equals, value = pair.partition("=")
        if not equals or not value:
            raise SourceError(f"{option} {pair!r} is not of the form {form}.")
        _check_target(option, target)
        if target in result:
            raise SourceError(f"{option} gives {target} twice.")
        result[target] = value
    return result


def _is_target(text: str) -> bool:
    return text in FIELDS or (text.startswith(_PAYLOAD) and all(text.split(".")))


def _check_target(option: str, target: str) -> None:
    if not _is_target(target):
        raise SourceError(f"{option} {target!r} names no field: use {', '.join(FIELDS)} or payload.NAME.")


def _check_nesting(targets: Sequence[str]) -> None:
    for target in targets:
        inner = next((other for other in targets if other.startswith(target + ".")), None)
        if inner is not None:
            raise SourceError(f"{target} cannot be a value and hold {inner}: leave one out.")
