"""How often people may knock: pages by address as anonymous reads of the API are, log-ins more tightly."""

from functools import cache

from litestar.types import HTTPScope

from grandstand.api.client_address import counted_address
from grandstand.api.problems import RateLimitedError
from grandstand.console.services import ConsoleServices
from grandstand.domain.rate_limits import RateLimit, Verdict
from grandstand.settings import Settings


async def admit_visit(scope: HTTPScope, services: ConsoleServices) -> None:
    """Count a request by its address.

    Raises:
        RateLimitedError: there were too many.
    """
    limit = services.api.limiter.limits.anonymous
    if limit is not None:
        await _judge(services, limit, counted_address(scope, services.api.settings.trusted_proxies))


async def admit_log_in(scope: HTTPScope, services: ConsoleServices, name: str) -> None:
    """Count a log-in, or another guess at an operator's password or code, by its address and by the name.

    Raises:
        RateLimitedError: there were too many.
    """
    by_address, by_name = _log_in_limits(services.api.settings)
    await _judge(services, by_address, counted_address(scope, services.api.settings.trusted_proxies))
    await _judge(services, by_name, name[:64])


@cache
def _log_in_limits(settings: Settings) -> tuple[RateLimit, RateLimit]:
    """Return the limits by address and by name. A name is never blocked: nobody can lock an operator out for good."""
    quota, window = settings.rate_limit_log_ins, settings.rate_limit_window_seconds
    return (
        RateLimit("log-in", "log-in-address", 2 * quota, window, settings.rate_limit_block_seconds),
        RateLimit("log-in", "log-in-name", quota, window, 0),
    )


async def _judge(services: ConsoleServices, limit: RateLimit, subject: str) -> None:
    judgement = services.api.limiter.judge(limit, subject)
    verdict = judgement if isinstance(judgement, Verdict) else await judgement
    if not verdict.is_admitted:
        raise RateLimitedError(
            f"Too many requests; try again in {verdict.reset_seconds} seconds.", retry_after=verdict.reset_seconds
        )
