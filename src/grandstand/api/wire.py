"""What an answer of hours needs of its connection beyond ASGI: `http_protocol.py` offers it, `live.py` takes it."""

from collections.abc import Callable
from typing import NamedTuple, cast

from litestar.types import HTTPScope

OPEN_WIRE = "grandstand.wire"
"""ASGI extension: a function that returns the `Wire` of the request."""


class Wire(NamedTuple):
    """The connection of an answer that has begun."""

    push: Callable[[bytes], bool]
    """Write a piece of the body now. False, and nothing is written, while the client takes nothing."""

    wake: Callable[[], None]
    """Let `receive` return."""

    abort: Callable[[], None]
    """End the connection at once, whatever is still to be sent."""


def open_wire(scope: HTTPScope) -> Wire:
    """Return the connection of a request.

    Raises:
        KeyError: the server is not ours.
    """
    extensions = cast("dict[str, Callable[[], Wire]]", scope.get("extensions") or {})
    return extensions[OPEN_WIRE]()
