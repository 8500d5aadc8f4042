"""`/api/analytics…` and `GET /api/events/stats`: what players did."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from grandstand.api.access import principal_of, require_operator
from grandstand.api.bodies import read_body
from grandstand.api.parameters import Query
from grandstand.api.services import Services
from grandstand.api.tables import table_reply
from grandstand.operations.analytics_views import Cohort, DayOverview, DaySessions, EventBucket, FunnelStep

FUNNEL_BYTES_MAX = 16_384
AnyRequest = Request[Any, Any, Any]


def _query(request: AnyRequest, services: Services) -> Query:
    require_operator(principal_of(request.scope, services), "events:read")
    return Query(request.scope["query_string"])


class AnalyticsRoutes(Controller):
    """The routes of analytics; they need a server key."""

    path = "/api"

    @get("/events/stats")
    async def get_stats(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Count events and users by hour or day and event type."""
        query = _query(request, services)
        found = await services.analytics.stats(query.span(), query.text("interval"), query.text("event_type"))
        return table_reply(request, found, found.buckets, EventBucket)

    @get("/analytics/overview")
    async def get_overview(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Count users and events by day."""
        found = await services.analytics.overview(_query(request, services).span())
        return table_reply(request, found, found.days, DayOverview)

    @get("/analytics/retention")
    async def get_retention(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Say how many users came back."""
        query = _query(request, services)
        found = await services.analytics.retention(query.span(), query.text("by"))
        return table_reply(request, found, found.cohorts, Cohort)

    @get("/analytics/sessions")
    async def get_sessions(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Count sessions by day."""
        found = await services.analytics.sessions(_query(request, services).span())
        return table_reply(request, found, found.days, DaySessions)

    @post("/analytics/funnel", status_code=HTTPStatus.OK)
    async def post_funnel(self, request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
        """Count users by the step of a funnel that they reached."""
        require_operator(principal_of(request.scope, services), "events:read")
        body = await read_body(request.scope, request.receive, FUNNEL_BYTES_MAX)
        found = await services.analytics.funnel(body)
        return table_reply(request, found, found.steps, FunnelStep)
