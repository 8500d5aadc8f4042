"""One request as a page sees it: who asks, for what, and with which form."""

import re
from dataclasses import dataclass, field
from typing import Any

from litestar.types import HTTPScope

from grandstand.api.parameters import Query
from grandstand.console.forms import Form
from grandstand.console.services import ConsoleServices
from grandstand.domain.operators import Operator, OperatorRole

_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:]{2,45}\](:[0-9]{1,5})?")
NOBODY = Operator("", "viewer")


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that has been let in. `address` is the client's, as far as proxies are believed."""

    services: ConsoleServices
    scope: HTTPScope
    query: Query
    path: dict[str, Any] = field(default_factory=dict)
    form: Form = field(default_factory=Form)
    operator: Operator = NOBODY
    form_token: str = ""
    session: str = ""
    address: str | None = None

    def may(self, role: OperatorRole) -> bool:
        """Whether the operator may do what is for `role`."""
        return self.operator.may(role)

    @property
    def is_part(self) -> bool:
        """Whether a script asks for a part of the page only, to put it in place."""
        return any(name == b"hx-request" for name, _ in self.scope["headers"])

    @property
    def origin(self) -> str | None:
        """Where this page was asked for, for addresses that have to be complete; None when that is no host."""
        host = next((value for name, value in self.scope["headers"] if name == b"host"), b"").decode("latin-1")
        is_https = self.services.api.settings.console_secure_cookies or self.scope["scheme"] == "https"
        return f"{'https' if is_https else 'http'}://{host}" if _HOST.fullmatch(host) else None

    @property
    def location(self) -> str:
        """The path and the query that were asked for."""
        query = self.scope["query_string"].decode("latin-1")
        return self.scope["path"] + (f"?{query}" if query else "")
