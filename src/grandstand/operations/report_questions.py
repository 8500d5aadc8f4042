"""Questions to analytics: what can be asked, and when two people ask the same."""

from datetime import timedelta
from typing import Literal

import msgspec

from grandstand import clock
from grandstand.domain.definitions import is_path
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.event_model import is_event_type
from grandstand.domain.local_days import read_zone
from grandstand.domain.time_ranges import TimeRange, read_range

EVENT_DAYS_MAX = 31
STEPS_MAX = 10
WITHIN_SECONDS_MAX = EVENT_DAYS_MAX * 86_400

Kind = Literal["stats", "overview", "retention", "sessions", "funnel"]


class Span(msgspec.Struct, frozen=True):
    """The texts of `from`, `to` and `timezone` as they came."""

    from_: str | None = None
    to: str | None = None
    timezone: str | None = None

    def read(self, *, usual_days: int, longest_days: int) -> TimeRange:
        """Return the range.

        Raises:
            InvalidError: see `read_range`.
        """
        return read_range(
            self.from_, self.to, read_zone(self.timezone), clock.now(),
            usual=timedelta(days=usual_days), longest=timedelta(days=longest_days),
        )  # fmt: skip


class FunnelRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Steps in their order, and how long after the first the last may come."""

    steps: list[str]
    within_seconds: int | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    timezone: str | None = None


class Question(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is asked. A range without an end moves on with the time, so the question may be asked again later."""

    kind: Kind
    span: Span
    interval: Literal["hour", "day"] = "hour"
    event_type: str | None = None
    by: str | None = None
    steps: tuple[str, ...] = ()
    within_seconds: int | None = None

    def check(self) -> None:
        """Make sure that each value is one that can be asked for; the span is looked at by whoever reads it.

        Raises:
            InvalidError: names each value that is not.
        """
        errors = []
        if self.event_type is not None and not is_event_type(self.event_type):
            errors.append(FieldError("event_type", "must be 1 to 50 characters of a-z A-Z 0-9 _ . : -"))
        if self.by is not None and not is_path(self.by):
            errors.append(FieldError("by", "must be a dotted path inside the payload"))
        if self.kind == "funnel":
            errors += self._wrong_in_funnel()
        if errors:
            raise InvalidError(errors)

    def _wrong_in_funnel(self) -> list[FieldError]:
        errors = []
        if not 1 <= len(self.steps) <= STEPS_MAX:
            errors.append(FieldError("steps", f"must be 1 to {STEPS_MAX} event types"))
        errors += [
            FieldError(f"steps[{number}]", "must be 1 to 50 characters of a-z A-Z 0-9 _ . : -")
            for number, event_type in enumerate(self.steps[:STEPS_MAX])
            if not is_event_type(event_type)
        ]
        if self.within_seconds is not None and not 1 <= self.within_seconds <= WITHIN_SECONDS_MAX:
            errors.append(FieldError("within_seconds", f"must be between 1 and {WITHIN_SECONDS_MAX}"))
        return errors
