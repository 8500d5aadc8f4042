"""Definitions of leaderboards as a file, in YAML, TOML or JSON: `leaderboards`, then by key each definition's fields.

A field that is missing has its default, so a file says only what is special about a board.
"""

import json
import sys
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import tomli_w
import yaml

from grandstand.client.errors import UsageError
from grandstand.domain.definitions import check_key, parse_definition
from grandstand.domain.errors import InvalidError, MalformedError
from grandstand.domain.leaderboards import LeaderboardDefinition

TOP = "leaderboards"
STANDARD_STREAM = "-"
_DEFAULTS = msgspec.to_builtins(LeaderboardDefinition(event_type="", operator="best"))
_NEEDED = ("event_type", "operator")

Definitions = dict[str, LeaderboardDefinition]


class Format(StrEnum):
    """How a file of definitions is written."""

    YAML = "yaml"
    TOML = "toml"
    JSON = "json"


_SUFFIXES = {".yaml": Format.YAML, ".yml": Format.YAML, ".toml": Format.TOML, ".json": Format.JSON}


class _Loader(yaml.SafeLoader):
    """Reads plain data. Dates stay text, as in JSON, and a name that comes twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(
                    None, None, "merge keys (<<) are not taken: write the fields out", key.start_mark
                )
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [each for each in resolvers if each[0] != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_format(name: str | None) -> Format | None:
    """Return the format that an option names.

    Raises:
        UsageError: it is none.
    """
    if name is None:
        return None
    try:
        return Format(name.lower())
    except ValueError:
        raise UsageError(f"--format {name} is none of yaml, toml and json.") from None


def format_of(file: str, given: Format | None) -> Format:
    """Return how a file is written: as said, or by its suffix; YAML for standard input and output.

    Raises:
        UsageError: neither tells it.
    """
    if given is not None:
        return given
    if file == STANDARD_STREAM:
        return Format.YAML
    found = _SUFFIXES.get(Path(file).suffix.lower())
    if found is None:
        raise UsageError(f"{file} ends in none of .yaml, .toml and .json: say which it is with --format.")
    return found


def read_definitions(file: str, given: Format | None) -> Definitions:
    """Read a file of definitions; everything in it is checked.

    Raises:
        UsageError: the file cannot be read, or something in it is wrong; every wrong field is named.
    """
    document = _load(file, format_of(file, given))
    boards = document.get(TOP)
    if not isinstance(boards, dict) or len(document) > 1:
        raise UsageError(f"{_name(file)} must hold {TOP!r} and nothing else beside it.")
    definitions: Definitions = {}
    mistakes: list[str] = []
    for key, fields in boards.items():
        if not isinstance(key, str):
            raise UsageError(f"{_name(file)} has a key that is no text, {key!r}: put it in quotes.")
        try:
            definitions[key] = _definition(key, fields)
        except InvalidError as error:
            mistakes += [f"{key}.{wrong.path}: {wrong.message}" for wrong in error.errors]
    if mistakes:
        raise UsageError("\n  ".join([f"{_name(file)} has mistakes:", *mistakes]))
    return definitions


def read_rule(file: str, key: str) -> LeaderboardDefinition:
    """Read the definition of one board: a file of definitions that has it, or one that holds its fields alone.

    Raises:
        UsageError: as for `read_definitions`, or the file does not have the board.
    """
    suffix = Path(file).suffix.lower()
    form = _SUFFIXES.get(suffix, Format.YAML)
    fields: Any = _load(file, form)
    if TOP in fields:
        boards = fields[TOP]
        if not isinstance(boards, dict) or key not in boards:
            raise UsageError(f"{_name(file)} has no leaderboard {key!r}.")
        fields = boards[key]
    try:
        return _definition(key, fields)
    except InvalidError as error:
        mistakes = [f"{wrong.path}: {wrong.message}" for wrong in error.errors]
        raise UsageError("\n  ".join([f"{_name(file)} has mistakes:", *mistakes])) from None


def read_document(file: str, given: Format | None) -> dict[str, Any]:
    """Read a file that holds one object of whatever fields; nothing in it is checked.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    document = _parse(file, format_of(file, given))
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document):
        raise UsageError(f"{_name(file)} must hold one object: names and values.")
    return document


def write_definitions(definitions: Mapping[str, LeaderboardDefinition], form: Format) -> str:
    """Return the text of a file that `read_definitions` reads back as the same; defaults are left out.

    Raises:
        UsageError: TOML has no null, and a condition of `where` is one.
    """
    boards = {key: _fields(definitions[key]) for key in sorted(definitions)}
    if form is Format.JSON:
        return json.dumps({TOP: boards}, indent=2, ensure_ascii=False) + "\n"
    if form is Format.YAML:
        return yaml.safe_dump({TOP: boards}, sort_keys=False, allow_unicode=True, width=120)
    for key, fields in boards.items():
        if None in fields.get("where", {}).values():
            raise UsageError(f"TOML has no null, which {key}.where holds: use --format yaml or json.")
    return tomli_w.dumps({TOP: boards})


def _definition(key: str, fields: Any) -> LeaderboardDefinition:
    check_key(key)
    try:
        return parse_definition(json.dumps(fields, allow_nan=False).encode())
    except (TypeError, ValueError, RecursionError, MalformedError):
        # What JSON cannot hold: a date of TOML, a number that is none, what holds itself.
        raise UsageError(f"{key} holds a value that JSON has not: write dates as text, in quotes.") from None


def _fields(definition: LeaderboardDefinition) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(definition)
    shown = {name: fields[name] for name in _NEEDED} | fields
    kept = {name: value for name, value in shown.items() if name in _NEEDED or value != _DEFAULTS[name]}
    return {name: _without_nulls(value) if name in ("tiers", "tie_breaks") else value for name, value in kept.items()}


def _without_nulls(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in item.items() if value is not None} for item in items]


def _load(file: str, form: Format) -> dict[str, Any]:
    document = _parse(file, form)
    if not isinstance(document, dict):
        raise UsageError(f"{_name(file)} must hold {TOP!r} and nothing else beside it.")
    return document


def _parse(file: str, form: Format) -> Any:
    try:
        data = sys.stdin.buffer.read() if file == STANDARD_STREAM else Path(file).read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{_name(file)} is not UTF-8.") from None
    try:
        match form:
            case Format.TOML:
                return tomllib.loads(text)
            case Format.JSON:
                return json.loads(text, object_pairs_hook=_unique)
            case Format.YAML:
                return yaml.load(text, _Loader)  # noqa: S506 - a safe one
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split()) or "it nests too deeply"
        raise UsageError(f"{_name(file)} is not {form.value.upper()}: {reason}.") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")
    return found


def _name(file: str) -> str:
    return "Standard input" if file == STANDARD_STREAM else file
