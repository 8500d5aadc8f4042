"""Tells of a whole batch at once that nothing is wrong with it, which is what holds of nearly every batch.

Each look goes over all events in one call; asking event by event costs three times as much. The looks are those of
`events.judge`, which says of the other batches what is wrong with which event: this module only ever says "maybe".
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from grandstand.domain.event_model import MISSING_TIME, USER_ID_LENGTH_MAX, Event, is_event_type
from grandstand.domain.payloads import ScorePaths, are_small_objects, find_huge_score

EVENTS_MIN = 4
"""Smaller batches are judged event by event as quickly."""


def is_usual(
    events: Sequence[Event],
    *,
    oldest: datetime,
    newest: datetime,
    payload_max_bytes: int,
    score_fields: Mapping[str, ScorePaths],
    only_user_id: str | None,
) -> bool:
    """Whether every event is surely valid as `judge` sees it; False says nothing. No payload holds an escaped NUL."""
    user_ids = [event.user_id for event in events]
    if only_user_id is not None and set(user_ids) != {only_user_id}:
        return False
    lengths = list(map(len, user_ids))
    if not (min(lengths) > 0 and max(lengths) <= USER_ID_LENGTH_MAX and "".join(user_ids).isprintable()):
        return False
    times = [event.occurred_at for event in events if event.occurred_at is not MISSING_TIME]
    if times and not oldest <= min(times) <= max(times) <= newest:
        return False
    types = [event.event_type for event in events]
    if not all(map(is_event_type, set(types))):
        return False
    if {event.signature for event in events} != {msgspec.UNSET}:
        return False
    payloads = are_small_objects([event.payload for event in events], payload_max_bytes)
    return payloads is not None and not _any_huge(types, payloads, score_fields)


def _any_huge(
    types: Sequence[str], payloads: Collection[dict[str, object]], score_fields: Mapping[str, ScorePaths]
) -> bool:
    return any(
        find_huge_score(payload, score_fields[event_type]) is not None
        for event_type, payload in zip(types, payloads, strict=True)
        if event_type in score_fields
    )
