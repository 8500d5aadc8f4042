"""One look at a deployment's invariants, in a process of its own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

from grandstand.bootstrap.core import EngineUnreachableError, check_schema, open_core
from grandstand.domain.errors import UnavailableError
from grandstand.invariants.check import Check, Scope, Subject
from grandstand.invariants.run import CheckReport, run_checks
from grandstand.settings import Settings


async def verify(settings: Settings, scope: Scope, checks: Sequence[Check]) -> AsyncIterator[CheckReport]:
    """Run checks on a deployment, which may go on working meanwhile, and yield what each came to.

    Raises:
        EngineUnreachableError: an engine is not set, out of reach at the beginning, or of another schema version.
    """
    async with AsyncExitStack() as stack:
        # An engine that does not write to disk is a finding here, and no reason not to look.
        core = await open_core(settings, stack, must_be_durable=False)
        try:
            await check_schema(core)
        except UnavailableError as error:
            raise EngineUnreachableError(error.detail) from error
        subject = Subject(core.database, core.valkey, settings.valkey_prefix, core.archived)
        async for report in run_checks(subject, scope, checks):
            yield report
