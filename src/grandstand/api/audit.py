"""`GET /api/audit-log`: who changed what, for admins."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from grandstand.api.access import principal_of, require_admin
from grandstand.api.parameters import Query
from grandstand.api.replies import PRIVATE, json_reply
from grandstand.api.services import Services
from grandstand.storage.audit import AuditFilter


class AuditRoutes(Controller):
    """The route of the audit log; it needs an admin key."""

    path = "/api/audit-log"

    @get("/")
    async def get_list(self, request: Request[Any, Any, Any], services: NamedDependency[Services]) -> Response[bytes]:
        """List changes, the newest first."""
        require_admin(principal_of(request.scope, services))
        query = Query(request.scope["query_string"])
        wanted = AuditFilter(
            actor=query.text("actor"),
            action=query.text("action"),
            target=query.text("target"),
            since=query.moment("from"),
            until=query.moment("to"),
        )
        found = await services.audit.list(wanted, limit=query.count("limit", 100), cursor=query.text("cursor"))
        return json_reply(found, headers=PRIVATE).as_response()
