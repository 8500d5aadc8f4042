"""Operators from the command line: on the database itself, so that the first one can be added."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from grandstand.bootstrap.core import checked_core
from grandstand.operations.audit import Origin, acting_as
from grandstand.operations.manage_operators import OperatorManager
from grandstand.operations.passwords import Passwords
from grandstand.settings import Settings
from grandstand.storage.operators import OperatorStore

T = TypeVar("T")


async def with_operators(settings: Settings, action: Callable[[OperatorManager], Awaitable[T]]) -> T:
    """Run one action on the operators of a deployment.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach or of another schema version.
        GrandstandError: what the action raises.
    """
    async with checked_core(settings) as core:
        with acting_as(Origin("cli")):
            return await action(OperatorManager(core.database, OperatorStore(), Passwords()))
