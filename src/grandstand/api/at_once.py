"""Answers that a process holds already: given where a request's head ends, without a task, a scope or a `receive`.

A page that is kept costs less than what ASGI does around it, so the server asks the app first. The app says None to
whatever it would have to wait for, or that is not a plain GET; then the request takes the usual way, untouched.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from litestar.types import ASGIApp


class Whole(NamedTuple):
    """A kept answer: the line of its status, its headers as they are sent, each with its CRLF, and the body."""

    status_line: bytes
    headers: bytes
    body: bytes


SingleHeaders = Mapping[bytes, bytes]
"""The headers of a request in which none came twice. Names in lower case."""

Answer = tuple[Whole, bytes]
"""A kept answer, and the headers that are this request's own, as they are sent."""

AnswerAtOnce = Callable[[bytes, SingleHeaders, str | None], Answer | None]
"""Takes the target of a GET (as it was sent), its headers and the peer's address."""


def at_once_of(app: ASGIApp) -> AnswerAtOnce | None:
    """Return what an app answers at once with; None of an app that has nothing of the kind."""
    return cast("AnswerAtOnce | None", getattr(app, "answer_at_once", None))
