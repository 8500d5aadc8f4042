"""Reads and checks leaderboard definitions: every wrong value is named with its field."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.event_model import OWN_PREFIX, is_event_type
from grandstand.domain.json_bodies import not_json, wrong_value
from grandstand.domain.leaderboards import LeaderboardDefinition
from grandstand.domain.periods import Schedule, ScheduleError, is_zone
from grandstand.domain.plausibility import check_plausibility
from grandstand.domain.scores import SCORE_MAX

RESERVED_KEYS = frozenset({"user"})
TITLE_LENGTH_MAX = 200
PATH_LENGTH_MAX = 200
PERIOD_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 1000
WHERE_CONDITIONS_MAX = 10
KEEP_FIELDS_MAX = 10
TIERS_MAX = 20
TIE_BREAKS_MAX = 3
BUCKET_SIZE_MAX = 100_000

_LISTS = frozenset({"keep", "tiers", "tie_breaks"})
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def is_key(key: str) -> bool:
    """Whether a board could have this key: 1 to 64 characters of `a-z A-Z 0-9 _ . -`, the first a letter or digit."""
    return _KEY.match(key) is not None


def check_key(key: str) -> None:
    """Check a board's key.

    Raises:
        InvalidError: not 1 to 64 characters of `a-z A-Z 0-9 _ . -` that begin with a letter or digit, or reserved.

    """
    if not is_key(key):
        message = "must be 1 to 64 characters of a-z A-Z 0-9 _ . - and begin with a letter or digit"
        raise InvalidError([FieldError("key", message)])
    if key in RESERVED_KEYS:
        raise InvalidError([FieldError("key", f"{key!r} is reserved")])


def parse_definition(body: bytes) -> LeaderboardDefinition:
    """Read a definition from JSON and check it as a whole.

    Raises:
        MalformedError: not JSON.
        InvalidError: a value is wrong; each error names its field.

    """
    try:
        document = msgspec.json.decode(body)
        if isinstance(document, dict):
            # For a list, null says the same as leaving it out.
            document = {name: value for name, value in document.items() if value is not None or name not in _LISTS}
        definition = msgspec.convert(document, LeaderboardDefinition)
    except msgspec.ValidationError as error:
        raise InvalidError([wrong_value(error, LeaderboardDefinition)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise not_json(body) from None
    check_definition(definition)
    return definition


def check_definition(definition: LeaderboardDefinition) -> None:
    """Check the values of a definition and how they go together.

    Raises:
        InvalidError: every wrong field with what it must be.

    """
    errors: list[FieldError] = []
    if not is_event_type(definition.event_type):
        message = f"must be 1 to 50 characters of a-z A-Z 0-9 _ . : - and not begin with {OWN_PREFIX!r}"
        errors.append(FieldError("event_type", message))
    if definition.title is not None and not _is_text(definition.title, TITLE_LENGTH_MAX):
        errors.append(FieldError("title", f"must be 1 to {TITLE_LENGTH_MAX} characters without control characters"))
    if definition.field is None:
        if definition.operator != "count":
            errors.append(FieldError("field", f"is needed by the operator {definition.operator!r}"))
    elif not is_path(definition.field):
        errors.append(FieldError("field", "must be a dotted path such as 'score' or 'stats.kills'"))
    errors.extend(_check_where(definition.where or {}))
    errors.extend(_check_limits(definition.min_score, definition.max_score))
    errors.extend(_check_schedule(definition))
    errors.extend(_check_extras(definition))
    errors.extend(_check_tie_breaks(definition))
    errors.extend(_check_tiers(definition))
    rules = definition.plausibility
    if rules is not None:
        errors.extend(check_plausibility(rules, definition.operator))
        if rules.duration_field is not None and not is_path(rules.duration_field):
            errors.append(FieldError("plausibility.duration_field", "must be a dotted path inside the payload"))
    if errors:
        raise InvalidError(errors)


def is_path(path: str) -> bool:
    """Whether `path` is a dotted path inside a payload: names that are not empty, 200 characters at most in all."""
    return _is_text(path, PATH_LENGTH_MAX) and all(path.split("."))


def _is_text(value: str, length_max: int) -> bool:
    return 0 < len(value) <= length_max and not _CONTROL.search(value)


def _check_where(where: dict[str, Any]) -> list[FieldError]:
    if len(where) > WHERE_CONDITIONS_MAX:
        return [FieldError("where", f"has {len(where)} conditions; at most {WHERE_CONDITIONS_MAX} are taken")]
    errors = [
        FieldError("where", f"{path!r} must be a dotted path inside the payload") for path in where if not is_path(path)
    ]
    errors.extend(
        FieldError(f"where.{path}", f"must have at most {TEXT_LENGTH_MAX} characters and no NUL")
        for path, value in where.items()
        if isinstance(value, str) and (len(value) > TEXT_LENGTH_MAX or "\x00" in value)
    )
    errors.extend(
        FieldError(f"where.{path}", "must be a number that JSON holds exactly")
        for path, value in where.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) <= SCORE_MAX
    )
    return errors


def _check_limits(min_score: int | None, max_score: int | None) -> list[FieldError]:
    errors = [
        FieldError(name, f"must lie within ±{SCORE_MAX}")
        for name, value in (("min_score", min_score), ("max_score", max_score))
        if value is not None and abs(value) > SCORE_MAX
    ]
    if min_score is not None and max_score is not None and min_score > max_score:
        errors.append(FieldError("max_score", "must not be below min_score"))
    return errors


def _check_schedule(definition: LeaderboardDefinition) -> Iterator[FieldError]:
    if len(definition.period) > PERIOD_LENGTH_MAX:
        yield FieldError("period", f"must have at most {PERIOD_LENGTH_MAX} characters")
        return
    if not is_zone(definition.timezone):
        yield FieldError(
            "timezone", f"{definition.timezone[:64]!r} is not an IANA time zone; use a name such as 'Europe/Berlin'"
        )
        return
    try:
        Schedule(definition.period, definition.timezone)
    except ScheduleError as error:
        yield FieldError(error.field, str(error))


def _check_extras(definition: LeaderboardDefinition) -> Iterator[FieldError]:
    if definition.segment_by is not None and not is_path(definition.segment_by):
        yield FieldError("segment_by", "must be a dotted path inside the payload")
    if len(definition.keep) > KEEP_FIELDS_MAX:
        yield FieldError("keep", f"has {len(definition.keep)} fields; at most {KEEP_FIELDS_MAX} are kept")
    if len(set(definition.keep)) < len(definition.keep):
        yield FieldError("keep", "names a field twice")
    for number, field in enumerate(definition.keep):
        if not is_path(field):
            yield FieldError(f"keep[{number}]", "must be a dotted path inside the payload")
    if definition.bucket_size is not None:
        if not 2 <= definition.bucket_size <= BUCKET_SIZE_MAX:
            yield FieldError("bucket_size", f"must be between 2 and {BUCKET_SIZE_MAX}")
        if definition.segment_by is not None:
            yield FieldError("bucket_size", "cannot be combined with segment_by")


def _check_tie_breaks(definition: LeaderboardDefinition) -> Iterator[FieldError]:
    if len(definition.tie_breaks) > TIE_BREAKS_MAX:
        yield FieldError(
            "tie_breaks", f"has {len(definition.tie_breaks)} fields; at most {TIE_BREAKS_MAX} are compared"
        )
    if definition.tie_breaks and definition.operator not in ("best", "latest"):
        yield FieldError("tie_breaks", "need the operator best or latest: a sum has no single event to compare")
    for number, tie_break in enumerate(definition.tie_breaks):
        if not is_path(tie_break.field):
            yield FieldError(f"tie_breaks[{number}].field", "must be a dotted path inside the payload")


def _check_tiers(definition: LeaderboardDefinition) -> Iterator[FieldError]:
    tiers = definition.tiers
    if len(tiers) > TIERS_MAX:
        yield FieldError("tiers", f"has {len(tiers)} tiers; at most {TIERS_MAX} are taken")
    if len({tier.id for tier in tiers}) < len(tiers):
        yield FieldError("tiers", "has an id twice")
    for number, tier in enumerate(tiers):
        if not _is_text(tier.id, TEXT_LENGTH_MAX):
            yield FieldError(f"tiers[{number}].id", "must be a text without control characters")
        if (tier.top_percent is None) == (tier.min_score is None):
            yield FieldError(f"tiers[{number}]", "needs either top_percent or min_score")
            return
        if tier.top_percent is not None and not 0 < tier.top_percent <= 100:
            yield FieldError(f"tiers[{number}].top_percent", "must be above 0 and at most 100")
        if tier.min_score is not None and abs(tier.min_score) > SCORE_MAX:
            yield FieldError(f"tiers[{number}].min_score", f"must lie within ±{SCORE_MAX}")
    if len({tier.top_percent is None for tier in tiers}) > 1:
        yield FieldError("tiers", "cannot mix top_percent and min_score")
        return
    direction = -1 if definition.order == "desc" else 1
    bounds = [tier.top_percent if tier.top_percent is not None else (tier.min_score or 0) * direction for tier in tiers]
    for number, (before, after) in enumerate(itertools.pairwise(bounds), start=1):
        if not before < after:
            yield FieldError(
                f"tiers[{number}]", "must come after the tier that is harder to reach: list the best first"
            )
