"""The form of a leaderboard: its fields, and what it says as the body of a definition."""

from typing import Any

import msgspec

from grandstand.console.forms import FormField, write_words
from grandstand.domain.definitions import check_key, parse_definition
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.operations.define_leaderboard import LeaderboardView

KEY = FormField("key", "Key", hint="In addresses: a-z A-Z 0-9 . _ -", is_required=True)
FIELDS = (
    FormField("title", "Title"),
    FormField("event_type", "Event type", hint="Which events feed it, such as game_ended", is_required=True),
    FormField("operator", "Operator", "select", "How a player's events become one score",
              ("best", "latest", "sum", "count"), is_required=True),
    FormField("field", "Field", hint="The payload field that is the score; empty counts events"),
    FormField("order", "Order", "select", "desc: more is better", ("desc", "asc")),
    FormField("period", "Period", hint="all_time, hourly, daily, weekly, monthly, or cron: 0 6 * * 1"),
    FormField("timezone", "Time zone", hint="Where days begin, such as Europe/Berlin"),
    FormField("visibility", "Visibility", "select", "Public boards have a page for everyone", ("public", "private")),
    FormField("min_score", "Least score", "integer"),
    FormField("max_score", "Greatest score", "integer"),
    FormField("segment_by", "Segment by", hint="A payload field, or country"),
    FormField("keep", "Kept payload fields", "words",
              'Shown with the entry; spaces between; "max level" with quotation marks'),
    FormField("bucket_size", "Bucket size", "integer", "Players of one bucket; empty for one board"),
    FormField("where", "Only events where", "json", 'JSON, such as {"mode": "ranked"}'),
    FormField("tiers", "Tiers", "json", 'JSON, such as [{"id": "gold", "top_percent": 5}]'),
    FormField("tie_breaks", "Tie-breaks", "json", 'JSON, such as [{"field": "assists", "order": "desc"}]'),
    FormField("plausibility", "Plausibility", "json", 'JSON, such as {"score_max": 100000}; others are quarantined'),
)  # fmt: skip
NEW: dict[str, str] = {
    "event_type": "game_ended", "operator": "best", "field": "score", "order": "desc", "period": "all_time",
    "timezone": "UTC", "visibility": "public",
}  # fmt: skip


async def check_board(values: dict[str, Any]) -> None:
    """Judge the values of a form as saving does.

    Raises:
        InvalidError: some are wrong.
    """
    definition = {name: value for name, value in values.items() if name != "key"}
    errors: list[FieldError] = []
    try:
        if "key" in values:
            check_key(values["key"])
    except InvalidError as error:
        errors += error.errors
    try:
        parse_definition(msgspec.json.encode(definition))
    except InvalidError as error:
        errors += error.errors
    if errors:
        raise InvalidError(errors)


def typed_of(board: LeaderboardView) -> dict[str, str]:
    """Return a definition as it would be typed."""
    document: dict[str, Any] = msgspec.to_builtins(board)
    return {item.name: _typed(item, document.get(item.name)) for item in FIELDS} | {"key": board.key}


def _typed(item: FormField, value: Any) -> str:
    if value in (None, (), [], {}):
        return ""
    if item.kind == "json":
        if item.name != "where":
            # What is null there says the same as what is missing.
            value = _without_nulls(value)
        return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    if item.kind == "words":
        return write_words(value)
    return str(value)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, (list, tuple)) else value
