"""Holds a real method of the product back until a test lets go."""

import asyncio
from typing import Any

import pytest


def hold(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> asyncio.Event:
    """Hold every call of a coroutine method until the event that is returned is set."""
    is_free = asyncio.Event()
    call = getattr(owner, name)

    async def held(*arguments: Any, **more: Any) -> Any:
        await is_free.wait()
        return await call(*arguments, **more)

    monkeypatch.setattr(owner, name, held)
    return is_free
