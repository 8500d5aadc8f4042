"""The fence of a leader's transactions, as the operations see it that write them."""

from collections.abc import Awaitable, Callable
from typing import Any

from grandstand.storage.postgres import Connection

Fence = Callable[["Connection[Any]"], Awaitable[None]]
"""Called as the first statement of a transaction that only the leader may write; it raises when the term is over."""


async def no_fence(_: "Connection[Any]") -> None:
    """Let every transaction pass: for a caller that is alone, or whose transactions need no leader."""
