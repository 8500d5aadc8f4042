"""Reads forms: bodies of `application/x-www-form-urlencoded` within a limit, and their fields as values.

What was typed stays as it is, so that a form that is refused can be shown again with it.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec
from litestar.types import HTTPScope, Receive

from grandstand.api.bodies import BODY_TIMEOUT_SECONDS, ClientGoneError
from grandstand.api.problems import RequestTimeoutError
from grandstand.api.replies import Reply, json_reply
from grandstand.console.form_texts import read_pairs
from grandstand.domain.errors import (
    FieldError,
    GrandstandError,
    InvalidError,
    MalformedError,
    TooLargeError,
    UnsupportedMediaTypeError,
)

FORM_BYTES_MAX = 262_144
LOG_IN_BYTES_MAX = 4 * FORM_BYTES_MAX
"""A log-in carries a form along whose session has ended, encoded once more."""
_TYPE = b"application/x-www-form-urlencoded"
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s,]+')
_PRIZE = re.compile(r"prizes\[(\d+)\](\.)? ?")
_PLAIN = re.compile(r'[^\s,"]+')

FieldKind = Literal[
    "text",
    "integer",
    "select",
    "json",
    "words",
    "moment",
    "day",
    "prizes",
    "choices",
    "password",
    "current-password",
    "one-time-code",
]


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form, in their order; a name may come more than once."""

    pairs: Sequence[tuple[str, str]] = ()

    def text(self, name: str) -> str:
        """Return what was typed into a field, without spaces around it; empty when it is missing."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """Return a field exactly as it was typed."""
        return next((value for found, value in reversed(self.pairs) if found == name), "")

    def all(self, name: str) -> list[str]:
        """Return every value of a field."""
        return [value for found, value in self.pairs if found == name]

    def values(self) -> dict[str, str]:
        """Return the fields by their names; of a field that comes more than once, its values with spaces between."""
        found: dict[str, list[str]] = {}
        for name, value in self.pairs:
            found.setdefault(name, []).append(value)
        return {name: " ".join(values) for name, values in found.items()}


class FormField(NamedTuple):
    """A field of a form: what it is called, what is typed into it, and how it is explained.

    Of `choices` a `select` takes one and the kind `choices` any number, each a box to tick.
    """

    name: str
    label: str
    kind: FieldKind = "text"
    hint: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    is_fixed: bool = False


async def read_form(scope: HTTPScope, receive: Receive, bytes_max: int = FORM_BYTES_MAX) -> Form:
    """Return the form of a request.

    Raises:
        UnsupportedMediaTypeError: it is no form, or it is compressed.
        TooLargeError: `body_too_large`.
        MalformedError: it cannot be read.
        RequestTimeoutError: it did not arrive in time.
        ClientGoneError: the client is gone.
    """
    _check_headers(scope, bytes_max)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise ClientGoneError
                body += message["body"]
                if len(body) > bytes_max:
                    raise TooLargeError("body_too_large", f"A form may have {bytes_max:,} bytes.")
                if not message.get("more_body"):
                    break
    except TimeoutError:
        raise RequestTimeoutError(f"The form did not arrive within {BODY_TIMEOUT_SECONDS:.0f} seconds.") from None
    try:
        pairs = read_pairs(bytes(body))
    except ValueError:
        raise MalformedError("The form cannot be read.") from None
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs])


def _check_headers(scope: HTTPScope, bytes_max: int) -> None:
    media_type = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding":
            raise UnsupportedMediaTypeError("A form is not compressed.")
        elif name == b"content-length" and value.isdigit() and int(value[:20]) > bytes_max:
            raise TooLargeError("body_too_large", f"A form may have {bytes_max:,} bytes.")
    if media_type not in (_TYPE, b""):
        raise UnsupportedMediaTypeError("The console reads forms only.")


def read_fields(form: Form, fields: Sequence[FormField]) -> tuple[dict[str, Any], list[FieldError]]:
    """Return what a form says as the values of a JSON body, without empty fields, and what of it is no value at all."""
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for item in fields:
        text = " ".join(form.all(item.name)).strip() if item.kind == "choices" else form.text(item.name)
        if not text:
            if item.is_required:
                errors.append(FieldError(item.name, "is needed"))
            continue
        try:
            values[item.name] = _read(item, text)
        except ValueError as error:
            errors.append(FieldError(item.name, str(error)))
    return values, errors


def by_field(errors: Sequence[FieldError], fields: Sequence[FormField]) -> dict[str, str]:
    """Return the messages by the field that they belong beside; under the empty name what belongs to none."""
    names = {item.name for item in fields}
    told: dict[str, list[str]] = {}
    for error in errors:
        name = error.path.partition(".")[0].partition("[")[0]
        inner = error.path[len(name) :].lstrip(".")
        is_known = name in names
        message = error.message if is_known and not inner else f"{error.path} {error.message}"
        # People write a rule a line, and count from one.
        message = _PRIZE.sub(lambda found: f"rule {int(found[1]) + 1}{':' if found[2] else ''} ", message)
        told.setdefault(name if is_known else "", []).append(message)
    return {name: "; ".join(messages) for name, messages in told.items()}


async def find_wrong(
    values: dict[str, Any], wrong: list[FieldError], check: Callable[[dict[str, Any]], Awaitable[object]]
) -> list[FieldError]:
    """Return what `check` says beside `wrong`, which are no values at all: one refusal names every field."""
    named = {error.path for error in wrong}
    try:
        await check(values)
    except InvalidError as error:
        return [*wrong, *(each for each in error.errors if each.path.partition(".")[0].partition("[")[0] not in named)]
    except GrandstandError:
        # What contradicts what is kept is told once every value is one.
        return wrong
    return wrong


async def check_as_typed(
    form: Form, fields: Sequence[FormField], check: Callable[[dict[str, Any]], Awaitable[object]]
) -> Reply:
    """Return what is wrong with a form that is still being filled in, as JSON: messages by field.

    `check` is the operation's own judgement of the values, so what is said is what saving would say.
    """
    values, wrong = read_fields(form, fields)
    told: dict[str, str] = {}
    try:
        await check(values)
    except InvalidError as error:
        told = by_field(error.errors, fields)
    except GrandstandError as error:
        told = {"": error.detail}
    return json_reply(told | by_field(wrong, fields))


def _read(item: FormField, text: str) -> Any:
    if item.kind == "integer":
        try:
            return int(text)
        except ValueError:
            raise ValueError("must be a whole number") from None
    if item.kind == "json":
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            raise ValueError("must be JSON") from None
    if item.kind == "words":
        return read_words(text)
    if item.kind == "choices":
        return text.split()
    if item.kind == "moment":
        return f"{read_moment(text).replace(tzinfo=None).isoformat()}Z"
    if item.kind == "prizes":
        return read_prizes(text)
    return text


def read_words(text: str) -> list[str]:
    """Return words with spaces or commas between them; one that holds such stands in quotation marks, as in JSON.

    Raises:
        ValueError: a quotation mark is not closed, or what it encloses is no JSON.
    """
    try:
        return [msgspec.json.decode(word, type=str) if word[0] == '"' else word for word in _WORD.findall(text)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ValueError('must be words; one with spaces stands in quotation marks: "max level"') from None


def write_words(words: Sequence[str]) -> str:
    """Return words as `read_words` reads them."""
    return " ".join(word if _PLAIN.fullmatch(word) else msgspec.json.encode(word).decode() for word in words)


def read_moment(text: str) -> datetime:
    """Return a time of a form, which is in UTC.

    Raises:
        ValueError: it is none.
    """
    try:
        moment = datetime.fromisoformat(text.removesuffix("Z").removesuffix("+00:00").strip())
    except ValueError:
        raise ValueError("must be a date and a time in UTC, such as 2027-01-31T18:00") from None
    if moment.tzinfo is not None:
        raise ValueError("must be in UTC, without another offset")
    return moment.replace(tzinfo=UTC)


def read_prizes(text: str) -> list[dict[str, Any]]:
    """Return prize rules that are written one a line: `1 coins 500`, `2-10 coins 100`, `top 5% badge 1`.

    Raises:
        ValueError: a line is none; the message says which.
    """
    rules = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if not words:
            continue
        try:
            rules.append(_read_prize(words))
        except ValueError:
            raise ValueError(
                f"line {number} must be like `1 coins 500`, `2-10 coins 100` or `top 5% badge 1`"
            ) from None
    return rules


def write_prizes(rules: Sequence[dict[str, Any]]) -> str:
    """Return prize rules as `read_prizes` reads them; metadata is not part of it."""
    return "\n".join(f"{write_ranks(rule)} {rule['kind']} {rule['amount']}" for rule in rules)


def write_ranks(rule: dict[str, Any]) -> str:
    """Return whom a prize rule is for: `1`, `2-10` or `top 5%`."""
    if rule.get("top_percent") is not None:
        return f"top {rule['top_percent']:.15g}%"
    first, last = rule.get("from"), rule.get("to")
    return f"{first}" if last in (None, first) else f"{first}-{last}"


def _read_prize(words: list[str]) -> dict[str, Any]:
    if words[0].lower() == "top":
        _, share, kind, amount = words
        return {"top_percent": float(share.removesuffix("%")), "kind": kind, "amount": int(amount)}
    ranks, kind, amount = words
    first, _, last = ranks.partition("-")
    rule: dict[str, Any] = {"from": int(first), "kind": kind, "amount": int(amount)}
    if last:
        rule["to"] = int(last)
    return rule
