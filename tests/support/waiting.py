"""Waiting for a condition instead of for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
INTERVAL_SECONDS = 0.02


def eventually(condition: Callable[[], T], timeout_seconds: float = 30.0, what: str = "") -> T:
    """Call the condition until it is true and return what it returned; an exception counts as "not yet".

    Raises:
        AssertionError: it was not true in time; the last exception is its cause.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        problem: Exception | None = None
        try:
            result = condition()
            if result:
                return result
        except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(_complaint(condition, timeout_seconds, what)) from problem
        time.sleep(INTERVAL_SECONDS)


async def eventually_async(
    condition: Callable[[], Awaitable[T] | T], timeout_seconds: float = 30.0, what: str = ""
) -> T:
    """The same for a coroutine function (or a plain one) inside a running event loop."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        problem: Exception | None = None
        try:
            result = condition()
            if inspect.isawaitable(result):
                result = await result
            if result:
                return result
        except Exception as error:  # noqa: BLE001 - whatever it is, it may pass
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(_complaint(condition, timeout_seconds, what)) from problem
        await asyncio.sleep(INTERVAL_SECONDS)


def _complaint(condition: object, timeout_seconds: float, what: str) -> str:
    name = what or getattr(condition, "__name__", repr(condition))
    return f"not true within {timeout_seconds} s: {name}"
