"""Traces: what happened to one request, from its first byte to the rank, as spans of OpenTelemetry.

Off by default, and then every call here costs as much as a comparison, and what is `spanned` nothing.
`telemetry/otel.py` is loaded only where `GRANDSTAND_TRACES_ENABLED` is set. Attributes come from bounded sets or are
numbers: never what a caller sends, never an id of a user. docs/operating/traces.md lists spans and attributes.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from datetime import datetime
from functools import wraps
from importlib.util import find_spec
from typing import Any, ParamSpec, Protocol, TypeVar

from grandstand.settings import SettingsError

LINKS_MAX = 128
"""Requests that one batch is linked to; what OpenTelemetry keeps of a span is limited to as many."""

BLOCK_LINKS_MAX = 32
"""Requests that one block of the stream names, each with 55 bytes."""

NO_TRACE = b""
"""In the place of the trace of a request that has none."""

OUTSIDE = Context()
"""For tasks that serve many requests: they are in the trace of none."""

Attribute = str | int | bool

_NOTHING = nullcontext()

P = ParamSpec("P")
T = TypeVar("T")


class RequestSpan(Protocol):
    """The span of a request."""

    def answered(self, route: str, status: int) -> None:
        """Take in what the answer was. `route` is a template of ours, never a path that was asked for."""


class Tracing(Protocol):
    """What `otel.py` does for this module; the functions of the same names say what that is."""

    def request(self, method: str, traceparent: str | None) -> AbstractContextManager[RequestSpan]: ...  # noqa: D102
    def work(self, name: str, **attributes: Attribute) -> AbstractContextManager[None]: ...  # noqa: D102
    def span(self, name: str, **attributes: Attribute) -> AbstractContextManager[None]: ...  # noqa: D102
    def batch(self, blocks: Sequence[tuple[bytes, datetime]], events: int) -> AbstractContextManager[None]: ...  # noqa: D102
    def note(self, **attributes: Attribute) -> None: ...  # noqa: D102
    def current(self) -> bytes: ...  # noqa: D102
    def ids(self) -> tuple[str, str] | None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


_tracing: Tracing | None = None


def check_installed() -> None:
    """Make sure that the extra is there.

    Raises:
        SettingsError: it is not.
    """
    # A parent that is missing is an error of its own to `find_spec`.
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.exporter") is None:
        raise SettingsError(
            "Setting GRANDSTAND_TRACES_ENABLED needs the extra `traces`: install `grandstand[traces]`, or unset it."
        )


def begin(role: str) -> None:
    """Trace in this process from now on, until `end`; `role` is what the process does.

    Raises:
        SettingsError: the extra is not installed, or a variable of OpenTelemetry asks for what it does not do.
    """
    global _tracing  # noqa: PLW0603 - one for the process, as the registry of metrics is
    check_installed()
    from grandstand.telemetry.otel import open_tracing

    _tracing = open_tracing(role)


def end() -> None:
    """Send what waits to be sent, for a moment at most, and trace no more."""
    global _tracing  # noqa: PLW0603 - as above
    if _tracing is not None:
        _tracing.close()
        _tracing = None


def is_on() -> bool:
    """Whether this process traces."""
    return _tracing is not None


def request(method: str, traceparent: str | None) -> AbstractContextManager[RequestSpan]:
    """Open the span of a request that came with this header.

    Raises:
        RuntimeError: tracing is off; requests then have nothing that would open one.
    """
    if _tracing is None:
        raise RuntimeError("This process does not trace.")
    return _tracing.request(method, traceparent)


def work(name: str, **attributes: Attribute) -> AbstractContextManager[None]:
    """Open the span of work that nobody asked for in a request; it begins a trace of its own."""
    return _NOTHING if _tracing is None else _tracing.work(name, **attributes)


def span(name: str, **attributes: Attribute) -> AbstractContextManager[None]:
    """Open a span within the one that is open; without one nothing is recorded."""
    return _NOTHING if _tracing is None else _tracing.span(name, **attributes)


def spanned(name: str, function: Callable[P, T]) -> Callable[P, T]:
    """Return a function that does the same within a span; the same function where this process does not trace by now.

    For what happens once a request: there even a span that is none would show.
    """
    if _tracing is None:
        return function

    @wraps(function)
    def run(*arguments: P.args, **options: P.kwargs) -> T:
        with span(name):
            return function(*arguments, **options)

    return run


def spanned_async(name: str, function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """As `spanned`, for what is awaited."""
    if _tracing is None:
        return function

    @wraps(function)
    async def run(*arguments: P.args, **options: P.kwargs) -> T:
        with span(name):
            return await function(*arguments, **options)

    return run


def batch(blocks: Sequence[tuple[bytes, datetime]], events: int) -> AbstractContextManager[None]:
    """Open the span of applying blocks, each with the traces that it names and when it was received.

    It belongs to the trace of the first request among them and is linked to all. Without any nothing is recorded.
    """
    return _NOTHING if _tracing is None else _tracing.batch(blocks, events)


def note(**attributes: Attribute) -> None:
    """Add attributes to the open span."""
    if _tracing is not None:
        _tracing.note(**attributes)


def current() -> bytes:
    """Return the open span, as a stream block names it; `NO_TRACE` when nobody records it."""
    return NO_TRACE if _tracing is None else _tracing.current()


def join(traces: Sequence[bytes]) -> bytes:
    """Return the traces that a block names, as one text."""
    return b",".join([trace for trace in traces if trace][:BLOCK_LINKS_MAX])


def add_ids(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add `trace_id` and `span_id` to a line of the log that is written within a recorded span (for structlog)."""
    if _tracing is not None and (ids := _tracing.ids()) is not None:
        event["trace_id"], event["span_id"] = ids
    return event
