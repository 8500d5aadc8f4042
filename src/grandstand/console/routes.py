"""A route of the console: who may, and what answers."""

from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

from grandstand.api.replies import FileReply, Reply
from grandstand.console.visit import Visit
from grandstand.domain.operators import OperatorRole

Answer = Callable[[Visit], Awaitable[Reply | FileReply]]


class Route(NamedTuple):
    """`role` is the least that may; None lets everyone in. `path` is Litestar's template."""

    method: Literal["GET", "POST"]
    path: str
    role: OperatorRole | None
    answer: Answer
