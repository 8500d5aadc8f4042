"""Keys from the command line: on the database itself, so that an operator who has no key can make one."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from grandstand.bootstrap.core import checked_core
from grandstand.operations.audit import Origin, acting_as
from grandstand.operations.manage_keys import KeyManager
from grandstand.settings import Settings

T = TypeVar("T")


async def with_keys(settings: Settings, action: Callable[[KeyManager], Awaitable[T]]) -> T:
    """Run one action on the keys of a deployment.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
        GrandstandError: what the action raises.
    """
    async with checked_core(settings) as core:
        with acting_as(Origin("cli")):
            return await action(KeyManager(core.database))
