"""Reads what comes in paths and queries. Whatever a caller writes there ends in a value or a 4xx, never in a 5xx."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, unquote_to_bytes

import msgspec

from grandstand.domain.errors import FieldError, InvalidError, NotFoundError
from grandstand.domain.event_model import AwareTime, is_user_id
from grandstand.operations.find_ranking import Part
from grandstand.operations.report_questions import Span

KEY_LENGTH_MAX = 64
PART_LENGTH_MAX = 64
OCCURRENCE_MAX = 2**31 - 1
_QUERY_FIELDS_MAX = 100
_INTEGER = re.compile(r"-?[0-9]{1,18}\Z")


def read_key(encoded: str) -> str:
    """Return the leaderboard key of a path segment that is still percent-encoded.

    Raises:
        NotFoundError: no leaderboard can have such a key.
    """
    key = unquote(encoded, errors="replace")
    if len(key) > KEY_LENGTH_MAX or "\x00" in key or ":" in key:
        raise NotFoundError("leaderboard_not_found", "There is no leaderboard with this key.")
    return key


def read_tournament_id(encoded: str) -> str:
    """Return the tournament id of a path segment that is still percent-encoded.

    Raises:
        NotFoundError: no tournament can have such an id.
    """
    tournament_id = unquote(encoded, errors="replace")
    if len(tournament_id) > KEY_LENGTH_MAX or "\x00" in tournament_id:
        raise NotFoundError("tournament_not_found", "There is no tournament with this id.")
    return tournament_id


def read_new_key(encoded: str) -> str:
    """Return what a path segment that is still percent-encoded wants to name a leaderboard; it is not checked."""
    return unquote(encoded, errors="replace")


def read_path_user_id(encoded: str) -> str:
    """Return the user id of a path segment that is still percent-encoded (it may hold `%2F`).

    Raises:
        InvalidError: it is no valid user id, or not UTF-8.
    """
    try:
        user_id = unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise InvalidError([FieldError("user_id", "is not percent-encoded UTF-8")]) from None
    return check_user_id(user_id)


def check_user_id(user_id: str, path: str = "user_id") -> str:
    """Return a valid user id.

    Raises:
        InvalidError: it is none; the error names `path`.
    """
    if not is_user_id(user_id):
        raise InvalidError([FieldError(path, "must be 1 to 255 characters, none of them a control character")])
    return user_id


class Query:
    """The parameters of a query string. Of a name that comes twice the last counts; unknown names are ignored."""

    def __init__(self, query_string: bytes) -> None:
        self._values: dict[str, str] = {}
        if not query_string:
            return
        try:
            pairs = parse_qsl(
                query_string.decode("latin-1"),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_QUERY_FIELDS_MAX,
            )
        except ValueError:
            raise InvalidError([FieldError("query", "is not percent-encoded UTF-8 or has too many fields")]) from None
        self._values = dict(pairs)

    def text(self, name: str) -> str | None:
        """Return a parameter's text; None when it is missing or empty."""
        return self._values.get(name) or None

    def integer(self, name: str) -> int | None:
        """Return a parameter's integer; None when it is missing. Ranges are the operation's to check.

        Raises:
            InvalidError: it is no integer.
        """
        text = self._values.get(name)
        if text is None:
            return None
        if not _INTEGER.match(text):
            raise InvalidError([FieldError(name, "must be an integer")])
        return int(text)

    def count(self, name: str, default: int) -> int:
        """Return a parameter's integer; `default` when it is missing.

        Raises:
            InvalidError: it is no integer.
        """
        number = self.integer(name)
        return default if number is None else number

    def flag(self, name: str) -> bool:
        """Return whether a parameter says `true`; a missing one says `false`.

        Raises:
            InvalidError: it says something else.
        """
        text = self._values.get(name, "false")
        if text not in ("true", "false"):
            raise InvalidError([FieldError(name, "must be true or false")])
        return text == "true"

    def moment(self, name: str) -> datetime | None:
        """Return a parameter's RFC 3339 time in UTC; None when it is missing.

        Raises:
            InvalidError: it is no such time.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            # A plus sign that nobody encoded has become a space.
            return msgspec.convert(text.replace(" ", "+"), AwareTime).astimezone(UTC)
        except (msgspec.ValidationError, OverflowError):
            message = "must be an RFC 3339 time with its offset, like 2026-01-31T12:00:00Z"
            raise InvalidError([FieldError(name, message)]) from None

    def span(self) -> Span:
        """Return the texts of `from`, `to` and `timezone`."""
        return Span(self.text("from"), self.text("to"), self.text("timezone"))

    def part(self) -> Part:
        """Return which part of a board the parameters `period`, `segment` and `bucket` ask for.

        Raises:
            InvalidError: both a segment and a bucket, or a text that cannot be asked for.
        """
        if not self._values:
            return Part()
        segment, bucket = self.text("segment"), self.text("bucket")
        if segment is not None and bucket is not None:
            raise InvalidError([FieldError("bucket", "cannot be combined with segment")])
        for name in ("period", "segment", "bucket"):
            text = self.text(name)
            if text is not None and ("\x00" in text or len(text) > PART_LENGTH_MAX):
                raise InvalidError([FieldError(name, f"must have at most {PART_LENGTH_MAX} characters and no NUL")])
        return Part(self.text("period"), segment, bucket)

    def occurrence(self) -> int | None:
        """Return which occurrence of a tournament the parameter `occurrence` asks for.

        Raises:
            InvalidError: it is no number that an occurrence can have.
        """
        number = self.integer("occurrence")
        if number is not None and not 1 <= number <= OCCURRENCE_MAX:
            raise InvalidError([FieldError("occurrence", f"must be between 1 and {OCCURRENCE_MAX}")])
        return number

    def user_id(self) -> str | None:
        """Return the parameter `user_id`.

        Raises:
            InvalidError: it is no valid user id.
        """
        text = self._values.get("user_id")
        return None if text is None else check_user_id(text)
