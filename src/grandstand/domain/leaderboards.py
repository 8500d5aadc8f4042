"""Leaderboard definitions: what is scored, how scores combine, and in which order they rank."""

import re
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from grandstand.domain.errors import FieldError, InvalidError, MalformedError
from grandstand.domain.scores import SCORE_MAX, UnrankedError, look_up, read_score

Operator = Literal["best", "latest", "sum", "count"]
Order = Literal["desc", "asc"]
Visibility = Literal["public", "private"]

GLOBAL_KEY = "global"
RESERVED_KEYS = frozenset({"user"})
TITLE_LENGTH_MAX = 200
PATH_LENGTH_MAX = 200
WHERE_CONDITIONS_MAX = 10
TEXT_LENGTH_MAX = 1000

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.:-]{1,50}\Z")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


class LeaderboardDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One board's rules, as `PUT /api/leaderboards/{key}` takes them."""

    event_type: str
    operator: Operator
    title: str | None = None
    field: str | None = None
    where: dict[str, str | int | float | bool | None] | None = None
    order: Order = "desc"
    period: Literal["all_time"] = "all_time"
    timezone: Literal["UTC"] = "UTC"
    visibility: Visibility = "public"
    min_score: int | None = None
    max_score: int | None = None

    def rules(self) -> tuple[Any, ...]:
        """Return the part that decides scores; boards whose rules differ cannot share entries."""
        # In Python True == 1, in JSON they differ; 1 and 1.0 are one number in both.
        where = tuple(sorted((path, isinstance(value, bool), value) for path, value in (self.where or {}).items()))
        return (
            self.event_type, self.operator, self.field, where, self.order, self.period, self.timezone,
            self.min_score, self.max_score,
        )  # fmt: skip


GLOBAL_DEFINITION = LeaderboardDefinition(event_type="game_ended", field="score", operator="best", title="Global")
"""The board that exists from the first start."""


@dataclass(frozen=True, slots=True)
class ScoringRule:
    """A definition made ready for the hot path: paths split, conditions in a tuple."""

    operator: Operator
    path: tuple[str, ...] | None
    where: tuple[tuple[tuple[str, ...], Any], ...]
    min_score: int | None
    max_score: int | None

    @classmethod
    def of(cls, definition: LeaderboardDefinition) -> "ScoringRule":
        """Return the rule of a definition."""
        return cls(
            definition.operator,
            None if definition.field is None else tuple(definition.field.split(".")),
            tuple((tuple(path.split(".")), value) for path, value in (definition.where or {}).items()),
            definition.min_score,
            definition.max_score,
        )

    def belongs(self, payload: Any) -> bool:
        """Whether an event of the board's type with this payload meets every condition of `where`."""
        return all(_same(look_up(payload, path), wanted) for path, wanted in self.where)

    def score(self, payload: Any) -> int:
        """Return what one event adds (`sum`, `count`) or stands for (`best`, `latest`).

        Raises:
            UnrankedError: the payload holds no value this board can rank.

        """
        if self.path is None:
            return 1
        value = look_up(payload, self.path)
        if self.operator == "count":
            if value is None:
                raise UnrankedError("missing_field")
            return 1
        score = read_score(value)
        if self.min_score is not None and score < self.min_score:
            raise UnrankedError("below_min_score")
        if self.max_score is not None and score > self.max_score:
            raise UnrankedError("above_max_score")
        return score


class Leaderboard:
    """A board as it is kept: its definition and the ranking that holds its entries."""

    __slots__ = ("definition", "direction", "key", "leaderboard_id", "ranking_id", "revision", "rule")

    def __init__(
        self, leaderboard_id: int, key: str, definition: LeaderboardDefinition, ranking_id: int, revision: int
    ) -> None:
        self.leaderboard_id = leaderboard_id
        self.key = key
        self.definition = definition
        self.ranking_id = ranking_id
        self.revision = revision
        self.rule = ScoringRule.of(definition)
        self.direction = -1 if definition.order == "desc" else 1
        """The factor that makes a lower product the better one."""


def _same(found: Any, wanted: Any) -> bool:
    # In Python True == 1; in JSON they differ. Numbers compare by value: 1 and 1.0 are the same JSON number.
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted)


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
        definition = msgspec.json.decode(body, type=LeaderboardDefinition)
    except msgspec.ValidationError as error:
        raise InvalidError([_field_error(str(error))]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise MalformedError("The body is not valid JSON.") from None
    check_definition(definition)
    return definition


def check_definition(definition: LeaderboardDefinition) -> None:
    """Check the values of a definition and how they go together.

    Raises:
        InvalidError: every wrong field with what it must be.

    """
    errors: list[FieldError] = []
    if not _EVENT_TYPE.match(definition.event_type):
        errors.append(FieldError("event_type", "must be 1 to 50 characters of a-z A-Z 0-9 _ . : -"))
    if definition.title is not None and not _is_text(definition.title, TITLE_LENGTH_MAX):
        errors.append(FieldError("title", f"must be 1 to {TITLE_LENGTH_MAX} characters without control characters"))
    if definition.field is None:
        if definition.operator != "count":
            errors.append(FieldError("field", f"is needed by the operator {definition.operator!r}"))
    elif not is_path(definition.field):
        errors.append(FieldError("field", "must be a dotted path such as 'score' or 'stats.kills'"))
    errors.extend(_check_where(definition.where or {}))
    errors.extend(_check_limits(definition.min_score, definition.max_score))
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


def _field_error(message: str) -> FieldError:
    """Turn msgspec's sentence into the field it speaks of and what it says."""
    text, _, place = message.partition(" - at `$")
    if place:
        path = re.sub(r"\[\.\.\.\]", "", place.rstrip("`")).lstrip(".")
        return FieldError(path or "$", text)
    named = re.search(r"(?:required|unknown) field `([^`]+)`", text)
    return FieldError(named.group(1) if named else "$", text)
