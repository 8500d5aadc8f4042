"""How often people may knock: pages by address as anonymous reads of the API are, log-ins more tightly."""

from litestar.types import HTTPScope

from grandstand.api.client_address import counted_address
from grandstand.api.problems import RateLimitedError
from grandstand.console.services import ConsoleServices
from grandstand.domain.rate_limits import RateLimit

LOG_IN_BY_ADDRESS = RateLimit("log-in", "log-in-address", 20, 60, 60)
LOG_IN_BY_NAME = RateLimit("log-in", "log-in-name", 10, 60, 0)
"""A name is never blocked beyond its window: nobody can lock an operator out for good."""


async def admit_visit(scope: HTTPScope, services: ConsoleServices) -> None:
    """Count a request by its address.

    Raises:
        RateLimitedError: there were too many.
    """
    limit = services.api.limiter.limits.anonymous
    if limit is not None:
        await _judge(services, limit, counted_address(scope, services.api.settings.trusted_proxies))


async def admit_log_in(scope: HTTPScope, services: ConsoleServices, name: str) -> None:
    """Count a log-in by its address and by the name.

    Raises:
        RateLimitedError: there were too many.
    """
    await _judge(services, LOG_IN_BY_ADDRESS, counted_address(scope, services.api.settings.trusted_proxies))
    await _judge(services, LOG_IN_BY_NAME, name[:64])


async def _judge(services: ConsoleServices, limit: RateLimit, subject: str) -> None:
    judgement = services.api.limiter.judge(limit, subject)
    verdict = judgement if isinstance(judgement, tuple) else await judgement
    if not verdict.is_admitted:
        raise RateLimitedError(
            f"Too many requests; try again in {verdict.reset_seconds} seconds.", retry_after=verdict.reset_seconds
        )
