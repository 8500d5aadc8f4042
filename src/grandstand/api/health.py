"""`GET /api/health…` and `GET /metrics`: for those who watch the deployment."""

from http import HTTPStatus
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from grandstand.api.access import require_watcher
from grandstand.api.replies import NO_STORE, Reply, json_reply
from grandstand.api.services import Services
from grandstand.domain.errors import UnavailableError
from grandstand.telemetry import metrics


class HealthRoutes(Controller):
    """The routes of health and metrics."""

    path = "/"

    @get("/api/health")
    async def get_health(self, request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
        """Say how engines and stream are."""
        require_watcher(request.scope, services)
        return json_reply(await services.health.health()).as_response()

    @get("/api/health/live")
    async def get_live(self) -> Response[bytes]:
        """Say that this process answers."""
        return json_reply({"status": "ok"}).as_response()

    @get("/api/health/ready")
    async def get_ready(self, services: NamedDependency[Services]) -> Response[bytes]:
        """Say whether this process can do its work."""
        if not await services.health.ready():
            raise UnavailableError("An engine that this process needs is out of reach.")
        return json_reply({"status": "ok"}).as_response()

    @get("/api/health/pool")
    async def get_pool(self, request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
        """Say how the connections to PostgreSQL are used."""
        require_watcher(request.scope, services)
        return json_reply(services.health.pools()).as_response()

    @get("/metrics")
    async def get_metrics(
        self, request: Request[Any, Any, Any], services: NamedDependency[Services]
    ) -> Response[bytes]:
        """Give all numbers in Prometheus' text format."""
        require_watcher(request.scope, services)
        return Reply(HTTPStatus.OK, metrics.render(), metrics.CONTENT_TYPE, NO_STORE).as_response()
