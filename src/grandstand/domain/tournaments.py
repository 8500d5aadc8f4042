"""Tournaments: a board with a beginning, an end, and prizes. Definitions, and when their runs take place.

A tournament that repeats has several occurrences, numbered from 1; the others have one.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

import msgspec
from cronsim import CronSim, CronSimError

from grandstand.domain.definitions import PERIOD_LENGTH_MAX, check_definition
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.event_model import EventError
from grandstand.domain.leaderboards import LeaderboardDefinition, Operator, Order, Scalar, Visibility
from grandstand.domain.payloads import check_payload
from grandstand.domain.periods import CRON_PREFIX
from grandstand.domain.ranking import top_ranks

Status = Literal["scheduled", "active", "ended", "settled", "cancelled"]
Join = Literal["open", "required"]
PrizeStatus = Literal["pending", "claimed", "expired", "voided"]

PLAYERS_MAX = 100_000_000
ATTEMPTS_MAX = 1_000_000
CLAIM_DAYS_MAX = 3_650
PRIZE_RULES_MAX = 200
AMOUNT_MAX = 2**53 - 1
RANK_MAX = 10_000_000
METADATA_BYTES_MAX = 4_096
DURATION_MAX = timedelta(days=3_660)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z")
_KIND = re.compile(r"[A-Za-z0-9_.:-]{1,50}\Z")
_MICROSECOND = timedelta(microseconds=1)


class PrizeRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the players of some ranks get: ranks `from` to `to`, or the top percent of all players."""

    first: int | None = msgspec.field(name="from", default=None)
    last: int | None = msgspec.field(name="to", default=None)
    top_percent: float | None = None
    kind: str
    amount: int
    metadata: dict[str, Any] = {}

    def ranks(self, players: int) -> tuple[int, int]:
        """Return the first and the last rank that get it among `players`; an empty range when nobody does."""
        if self.top_percent is not None:
            return 1, top_ranks(players, self.top_percent)
        first = self.first or 1
        return first, min(players, self.last if self.last is not None else first)


class TournamentDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One tournament's rules, as `POST /api/tournaments` takes them."""

    starts_at: datetime
    ends_at: datetime
    event_type: str
    operator: Operator
    title: str | None = None
    field: str | None = None
    where: dict[str, Scalar] | None = None
    order: Order = "desc"
    join: Join = "open"
    max_players: int | None = None
    max_attempts: int | None = None
    visibility: Visibility = "public"
    prizes: tuple[PrizeRule, ...] = ()
    claim_days: int = 30
    repeat: str | None = None

    def board(self) -> LeaderboardDefinition:
        """Return what decides scores and order, as of a board."""
        return LeaderboardDefinition(
            event_type=self.event_type,
            operator=self.operator,
            title=self.title,
            field=self.field,
            where=self.where,
            order=self.order,
            visibility=self.visibility,
        )


class TournamentRules(NamedTuple):
    """The rules of a tournament, and of those of its occurrences that have begun: a change does not reach back."""

    definition: TournamentDefinition
    own: dict[int, TournamentDefinition]

    def of(self, occurrence: int) -> TournamentDefinition:
        """Return what decides in one occurrence."""
        return self.own.get(occurrence, self.definition)


class Window(NamedTuple):
    """When one occurrence takes scores: those that occurred in [starts_at, ends_at)."""

    occurrence: int
    starts_at: datetime
    ends_at: datetime


def next_window(definition: TournamentDefinition, previous: Window) -> Window | None:
    """Return the occurrence after `previous`: the first time of `repeat` from its end on, and as long as the first.

    None for a tournament that does not repeat.
    """
    if definition.repeat is None:
        return None
    expression = definition.repeat.removeprefix(CRON_PREFIX).strip()
    try:
        starts_at = next(CronSim(expression, (previous.ends_at - _MICROSECOND).astimezone(UTC)))
    except StopIteration:
        return None
    return Window(previous.occurrence + 1, starts_at, starts_at + (definition.ends_at - definition.starts_at))


def is_tournament_id(text: str) -> bool:
    """Whether a tournament could have this id."""
    return _ID.match(text) is not None


def check_tournament_id(tournament_id: str) -> None:
    """Check the id that a caller chose.

    Raises:
        InvalidError: not 1 to 64 characters of `a-z A-Z 0-9 _ . : -` that begin with a letter or digit.
    """
    if not is_tournament_id(tournament_id):
        message = "must be 1 to 64 characters of a-z A-Z 0-9 _ . : - and begin with a letter or digit"
        raise InvalidError([FieldError("id", message)])


def check_tournament(definition: TournamentDefinition, now: datetime) -> None:
    """Check the values of a definition and how they go together.

    Raises:
        InvalidError: every wrong field with what it must be.
    """
    errors: list[FieldError] = []
    try:
        check_definition(definition.board())
    except InvalidError as error:
        errors.extend(error.errors)
    errors.extend(_check_times(definition, now))
    errors.extend(_check_limits(definition))
    errors.extend(check_prizes(definition.prizes))
    if errors:
        raise InvalidError(errors)


def _check_times(definition: TournamentDefinition, now: datetime) -> Iterator[FieldError]:
    for name in ("starts_at", "ends_at"):
        moment: datetime = getattr(definition, name)
        if moment.tzinfo is None:
            yield FieldError(name, "must have a time zone, such as 2027-01-31T18:00:00Z")
            return
        if not 1970 < moment.year < 9000:
            yield FieldError(name, "must be a year between 1971 and 8999")
            return
    if definition.ends_at <= definition.starts_at:
        yield FieldError("ends_at", "must be later than starts_at")
    elif definition.ends_at <= now:
        yield FieldError("ends_at", "has passed already")
    elif definition.ends_at - definition.starts_at > DURATION_MAX:
        yield FieldError("ends_at", f"must be within {DURATION_MAX.days} days from starts_at")
    if definition.repeat is not None:
        yield from _check_repeat(definition.repeat)


def _check_repeat(repeat: str) -> Iterator[FieldError]:
    if len(repeat) > PERIOD_LENGTH_MAX:
        yield FieldError("repeat", f"must have at most {PERIOD_LENGTH_MAX} characters")
        return
    expression = repeat.removeprefix(CRON_PREFIX).strip()
    if not repeat.startswith(CRON_PREFIX) or len(expression.split()) != 5:
        yield FieldError("repeat", "must be 'cron: ' followed by five fields, such as 'cron: 0 18 * * 5'")
        return
    try:
        next(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        yield FieldError("repeat", f"is not a cron expression: {error}")
    except StopIteration:
        yield FieldError("repeat", "is a cron expression that never comes true")


def _check_limits(definition: TournamentDefinition) -> Iterator[FieldError]:
    for name, most in (("max_players", PLAYERS_MAX), ("max_attempts", ATTEMPTS_MAX), ("claim_days", CLAIM_DAYS_MAX)):
        value: int | None = getattr(definition, name)
        if value is not None and not 1 <= value <= most:
            yield FieldError(name, f"must be between 1 and {most}")


def check_prizes(prizes: tuple[PrizeRule, ...]) -> Iterator[FieldError]:
    """Yield what is wrong with prize rules. Gaps are fine; two rules of one kind must not give to the same rank."""
    if len(prizes) > PRIZE_RULES_MAX:
        yield FieldError("prizes", f"has {len(prizes)} rules; at most {PRIZE_RULES_MAX} are taken")
        return
    is_sound = True
    for number, rule in enumerate(prizes):
        for error in _check_rule(f"prizes[{number}]", rule):
            is_sound = False
            yield error
    if is_sound:
        yield from _check_overlaps(prizes)


def _check_rule(path: str, rule: PrizeRule) -> Iterator[FieldError]:
    if not _KIND.match(rule.kind):
        yield FieldError(f"{path}.kind", "must be 1 to 50 characters of a-z A-Z 0-9 _ . : -")
    if not 1 <= rule.amount <= AMOUNT_MAX:
        yield FieldError(f"{path}.amount", f"must be between 1 and {AMOUNT_MAX}")
    try:
        check_payload(msgspec.Raw(msgspec.json.encode(rule.metadata)), METADATA_BYTES_MAX, nul_possible=True)
    except EventError as error:
        yield FieldError(f"{path}.metadata", error.message.replace("`payload` ", ""))
    if rule.top_percent is not None:
        if rule.first is not None or rule.last is not None:
            yield FieldError(path, "needs either from and to, or top_percent")
        elif not 0 < rule.top_percent <= 100:
            yield FieldError(f"{path}.top_percent", "must be above 0 and at most 100")
        return
    if rule.first is None:
        yield FieldError(f"{path}.from", "is needed, or top_percent")
    elif not 1 <= rule.first <= RANK_MAX:
        yield FieldError(f"{path}.from", f"must be between 1 and {RANK_MAX}")
    elif rule.last is not None and not rule.first <= rule.last <= RANK_MAX:
        yield FieldError(f"{path}.to", f"must be between from ({rule.first}) and {RANK_MAX}")


def _check_overlaps(prizes: tuple[PrizeRule, ...]) -> Iterator[FieldError]:
    for number, rule in enumerate(prizes):
        for earlier, other in enumerate(prizes[:number]):
            if rule.kind == other.kind and _overlap(rule, other):
                yield FieldError(
                    f"prizes[{number}]", f"gives {rule.kind!r} to ranks that prizes[{earlier}] gives it to already"
                )


def _overlap(rule: PrizeRule, other: PrizeRule) -> bool:
    # A share of the players begins at rank 1 and ends nobody knows where: it goes with no other rule of its kind.
    if rule.top_percent is not None or other.top_percent is not None:
        return True
    first, last = rule.first or 1, rule.last or rule.first or 1
    other_first, other_last = other.first or 1, other.last or other.first or 1
    return first <= other_last and other_first <= last
