"""Reads what makes and changes tournaments from JSON bodies."""

from datetime import datetime
from typing import Any

import msgspec

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.ids import new_ids
from grandstand.domain.json_bodies import not_json, wrong_value
from grandstand.domain.tournaments import TournamentDefinition, check_tournament, check_tournament_id
from grandstand.storage.tournaments import Tournament

_NEVER_CHANGES = ("event_type", "field", "where", "operator", "order")


def read_new_tournament(body: bytes, now: datetime) -> tuple[str, TournamentDefinition]:
    """Read the body that creates a tournament; return its id, made when there is none, and its definition.

    Raises:
        MalformedError: the body is not JSON.
        InvalidError: a wrong value.
    """
    document = _decode(body)
    tournament_id = document.pop("id", None)
    if tournament_id is None:
        tournament_id = new_ids(1, now)[0].hex
    if not isinstance(tournament_id, str):
        raise InvalidError([FieldError("id", "must be a text")])
    check_tournament_id(tournament_id)
    definition = _convert(document)
    check_tournament(definition, now)
    return tournament_id, definition


def read_patch(body: bytes) -> dict[str, Any]:
    """Read the body that changes a tournament: the fields that are given.

    Raises:
        MalformedError: the body is not JSON.
        InvalidError: it names what is no field.
    """
    patch = _decode(body)
    unknown = sorted(set(patch) - set(TournamentDefinition.__struct_fields__))
    if unknown:
        raise InvalidError([FieldError(unknown[0], "is no field of a tournament")])
    return patch


def apply_patch(item: Tournament, patch: dict[str, Any], now: datetime) -> TournamentDefinition:
    """Return the definition of an occurrence with some fields changed.

    Raises:
        InvalidError: a wrong value, or one that may not change any more.
    """
    held = msgspec.structs.replace(item.definition, starts_at=item.starts_at, ends_at=item.ends_at)
    definition = _convert({**msgspec.to_builtins(held), **patch})
    errors = [
        FieldError(name, "cannot change: it decides scores")
        for name in _NEVER_CHANGES
        if getattr(definition, name) != getattr(held, name)
    ]
    if definition.starts_at != held.starts_at and (item.status != "scheduled" or item.starts_at <= now):
        errors.append(FieldError("starts_at", "cannot change after the start"))
    if errors:
        raise InvalidError(errors)
    check_tournament(definition, now)
    return definition


def _decode(body: bytes) -> dict[str, Any]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        raise not_json(body) from None
    if not isinstance(document, dict):
        raise InvalidError([FieldError("$", "must be an object")])
    return document


def _convert(document: dict[str, Any]) -> TournamentDefinition:
    if document.get("prizes", ()) is None:
        document = {**document, "prizes": []}
    try:
        return msgspec.convert(document, TournamentDefinition)
    except msgspec.ValidationError as error:
        raise InvalidError([wrong_value(error, TournamentDefinition)]) from None
