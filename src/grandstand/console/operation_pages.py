"""How the deployment is operated: connections, partitions, archive, caches, limits, and reports of the load lab."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from grandstand.api.replies import Reply
from grandstand.console.rendering import page
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import UnavailableError
from grandstand.domain.rate_limits import RateLimit

T = TypeVar("T")


async def get_operation(visit: Visit) -> Reply:
    """Show what is in use; what an engine that is away would have to tell is missing."""
    api, storage = visit.services.api, visit.services.storage
    partitions, archives, reports = await asyncio.gather(
        _unless_away(storage.partitions()), _unless_away(storage.archives()), visit.services.lab_reports.list()
    )
    return page(
        visit,
        "operation.html",
        pools=api.health.pools(),
        replicas=visit.services.watch.replicas(),
        lag_max_seconds=api.settings.database_replica_lag_max_seconds,
        partitions=partitions,
        archives=archives,
        archive_url=api.settings.archive_url,
        archive_after_days=api.settings.archive_after_days,
        caches=storage.caches(),
        limits=_limits(visit),
        reports=reports,
        has_reports=visit.services.lab_reports.folder is not None,
    )


def _limits(visit: Visit) -> list[tuple[str, RateLimit | None]]:
    limits = visit.services.api.limiter.limits
    return [
        ("A player's requests", limits.player),
        ("A player's events", limits.player_events),
        ("Players of one address", limits.player_address),
        ("A client key and address", limits.client),
        ("Without a credential, an address", limits.anonymous),
        ("A server key", limits.server),
    ]


async def _unless_away(question: Awaitable[T]) -> T | None:
    try:
        return await question
    except UnavailableError:
        return None


ROUTES = (Route("GET", "/console/operation", "viewer", get_operation),)
