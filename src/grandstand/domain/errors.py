"""What can go wrong for a caller, each with the stable code and status of the HTTP contract."""

import re
from dataclasses import dataclass
from typing import Any

STREAM_FULL_RETRY_AFTER_SECONDS = 5
"""A backlog does not go away within a second, and a client that comes back too soon only adds to the load."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong value: where it stands and what it must be."""

    path: str
    message: str


def first_line(error: BaseException) -> str:
    """Return what an exception says, as the end of a sentence."""
    text = str(error).strip().splitlines()
    return text[0].rstrip(".") if text else type(error).__name__


def field_error(message: str, whole: str = "$") -> FieldError:
    """Turn the sentence of a `msgspec.ValidationError` into the field it speaks of and what it says.

    `whole` is the path where the sentence names none.
    """
    text, _, place = message.partition(" - at `$")
    path = re.sub(r"\[\.\.\.\]", "", place.rstrip("`")).lstrip(".")
    named = re.search(r"(?:required|unknown) field `([^`]+)`", text)
    if named:
        path = f"{path}.{named[1]}" if path else named[1]
    if text == "Invalid RFC3339 encoded datetime" or text.startswith("Expected `datetime"):
        text = "must be an RFC 3339 time with its offset, like 2027-01-31T18:00:00Z"
    return FieldError(path or whole, text)


class GrandstandError(Exception):
    """A refusal with a stable `code`; the API renders it as RFC 9457 problem+json."""

    status = 500
    code = "internal_error"
    title = "Something went wrong on our side"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class MalformedError(GrandstandError):
    """The request is not what it says it is (broken JSON, bad encoding). Mend the request."""

    status, code, title = 400, "malformed", "The request cannot be read"


class UnauthorizedError(GrandstandError):
    """No credential, or one that is unknown, expired or revoked. Send a valid one."""

    status, code, title = 401, "unauthorized", "A valid credential is needed"


class ForbiddenError(GrandstandError):
    """The credential is good but does not reach this. Use one that does."""

    status, code, title = 403, "forbidden", "This credential may not do that"


class NotFoundError(GrandstandError):
    """The named thing does not exist; `code` is `<thing>_not_found` or `not_ranked`."""

    status, title = 404, "Not found"

    def __init__(self, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.code = code


class ConflictError(GrandstandError):
    """The state of things forbids it; `code` says which conflict."""

    status, title = 409, "Conflict"

    def __init__(self, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.code = code


class GoneError(GrandstandError):
    """It was there and is no more; `code` says what has passed."""

    status, title = 410, "Gone"

    def __init__(self, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.code = code


class TooLargeError(GrandstandError):
    """Over a size limit; `code` is `batch_too_large` or `body_too_large`. Nothing was taken."""

    status, title = 413, "Too large"

    def __init__(self, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.code = code


class UnsupportedMediaTypeError(GrandstandError):
    """A content type or encoding that this route does not read."""

    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class InvalidError(GrandstandError):
    """Values that are readable but wrong; `errors` names each."""

    status, code, title = 422, "invalid", "Some values are wrong"

    def __init__(self, errors: list[FieldError]) -> None:
        shown = "; ".join(f"{error.path}: {error.message}".removeprefix(": ") for error in errors[:3])
        super().__init__(shown, errors=[{"path": error.path, "message": error.message} for error in errors])
        self.errors = errors


class UnavailableError(GrandstandError):
    """An engine is out of reach for now. Nothing was taken; try again after `retry_after` seconds."""

    status, code, title = 503, "unavailable", "Not available right now"

    def __init__(self, detail: str, *, retry_after: int = 1, **extra: Any) -> None:
        super().__init__(detail, retry_after=retry_after, **extra)
        self.retry_after = retry_after


class StreamFullError(UnavailableError):
    """As much waits to be processed as may wait. Nothing was taken; workers make room."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=STREAM_FULL_RETRY_AFTER_SECONDS)
