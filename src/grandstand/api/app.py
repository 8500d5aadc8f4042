"""Puts the HTTP layer together."""

from typing import Any, NoReturn

from litestar import Litestar, Request
from litestar.di import Provide
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp

from grandstand.api.analytics import AnalyticsRoutes
from grandstand.api.audit import AuditRoutes
from grandstand.api.bodies import ClientGoneError
from grandstand.api.cors import Cors
from grandstand.api.dead_letters import DeadLetterRoutes
from grandstand.api.events import EventRoutes
from grandstand.api.front import Front
from grandstand.api.health import HealthRoutes
from grandstand.api.keys import KeyRoutes
from grandstand.api.leaderboards import LeaderboardRoutes
from grandstand.api.pages import Pages
from grandstand.api.players import PlayerRoutes
from grandstand.api.prizes import PrizeRoutes
from grandstand.api.problems import allow, handle_exception
from grandstand.api.quarantine import QuarantineRoutes
from grandstand.api.schema import SchemaRoutes
from grandstand.api.services import Services
from grandstand.api.tournaments import TournamentRoutes
from grandstand.api.traced_front import TracedFront
from grandstand.api.webhooks import WebhookRoutes
from grandstand.telemetry import traces

CONTROLLERS = (
    EventRoutes,
    PlayerRoutes,
    LeaderboardRoutes,
    TournamentRoutes,
    PrizeRoutes,
    WebhookRoutes,
    DeadLetterRoutes,
    QuarantineRoutes,
    KeyRoutes,
    AuditRoutes,
    AnalyticsRoutes,
    HealthRoutes,
    SchemaRoutes,
)


def build_app(services: Services) -> ASGIApp:
    """Return the ASGI app of all routes over the given operations."""
    pages = Pages(services)
    framework = Litestar(
        route_handlers=list(CONTROLLERS),
        dependencies={"services": _always(services), "pages": _always(pages)},
        exception_handlers={ClientGoneError: _leave_to_front, Exception: handle_exception},
        # The document is our own (`schema/`): the framework's knows nothing of bodies that are read by hand.
        openapi_config=None,
        logging_config=None,
    )
    outermost = TracedFront if traces.is_on() else Front
    front = outermost(framework, services, pages, methods_by_route(framework))
    origins = services.settings.cors_allow_origins
    return Cors(front, origins) if origins else front


def methods_by_route(framework: Litestar) -> dict[str, str]:
    """Return the value of `Allow` for each route's template; the framework's own answer names one handler only."""
    methods: dict[str, set[str]] = {}
    for route in framework.routes:
        if isinstance(route, HTTPRoute):
            methods.setdefault(route.path_format, {"OPTIONS"}).update(route.methods)
    return {template: allow(names) for template, names in methods.items()}


def _leave_to_front(_: Request[Any, Any, Any], error: ClientGoneError) -> NoReturn:
    raise error


def _always(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False, use_cache=True)
