"""Structured logs on standard error: JSON for machines, readable text on a terminal. Never a secret.

Everything goes through structlog, also what libraries log with `logging`. A line is written with one call, so lines of
processes that share a terminal do not mix.
"""

import io
import logging
import os
import re
import sys
import textwrap
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

from grandstand.telemetry import traces
from grandstand.telemetry.lean_structlog import structlog

LogFormat = Literal["auto", "json", "text"]

# Our keys, player tokens and passwords inside URLs, wherever they turn up in a message.
SECRETS = re.compile(
    r"(gs_(?:admin|server|client|sign)_)[^\s\"',;<>\\\x7f-\U0010ffff]+"
    r"|(eyJ[A-Za-z0-9_-]{5,})\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"
    r"|([a-z][a-z0-9+]*://[^\s:/@]*:)[^\s/\"']+(?=@)"
)
# What begins a line, turns it around, or makes a terminal do something. JSON has forms for it by itself.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_CONTROLS_IN_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# Libraries that say at `info` what is of no use to an operator.
QUIET_LOGGERS = ("alembic", "httpx", "httpcore", "uvicorn")
# And at `warning`: what any client can cause (uvicorn), with a traceback what we say in one line (asyncpg).
ERROR_LOGGERS = ("uvicorn.error", "asyncpg")


def configure(log_format: LogFormat, log_level: str, role: str) -> None:
    """Set logging up for this process; call once, before anything logs.

    Args:
        log_format: `auto` is text when standard error is a terminal, else JSON.
        log_level: least level that is written: debug, info, warning or error.
        role: what this process does; stands in every line.

    """
    as_text = log_format == "text" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _identify(role),
        traces.add_ids,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(as_text),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(log_level.upper())
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ERROR_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    # A terminal that went away is no reason for a traceback per line.
    logging.raiseExceptions = False
    logging.captureWarnings(True)


def without_secrets(text: str) -> str:
    """Return the text with keys, tokens and passwords blotted out."""
    return SECRETS.sub(lambda found: next(group for group in found.groups() if group) + "***", text)


def _identify(role: str) -> Any:
    pid = os.getpid()

    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["role"] = role
        event["pid"] = pid
        return event

    return add


def _rendering(as_text: bool) -> list[Any]:
    if as_text:
        renderer: Any = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
            exception_formatter=_write_traceback,
        )
        return [_decode, _keep_in_line, renderer, _blot]
    return [_decode, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str), _blot]


def _decode(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, bytes):
            event[name] = value.decode(errors="replace")
    return event


def _keep_in_line(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Let no value that somebody sent look like a line of its own; what is no text is shown as its `repr`."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _CONTROLS.sub(_escape, value)
    return event


def _write_traceback(target: TextIO, exc_info: Any) -> None:
    """Write a traceback so that no line of it, whatever the message is, begins where records do."""
    written = io.StringIO()
    structlog.dev.plain_traceback(written, exc_info)
    target.write(textwrap.indent(_CONTROLS_IN_LINES.sub(_escape, written.getvalue()), "    "))


def _escape(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _blot(_: Any, __: str, line: str) -> str:
    return without_secrets(line)
