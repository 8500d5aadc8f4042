"""One request as a page sees it: who asks, for what, and with which form."""

import re
from dataclasses import dataclass, field
from typing import Any

from litestar.types import HTTPScope

from grandstand.api.parameters import Query
from grandstand.console.forms import Form
from grandstand.console.services import ConsoleServices
from grandstand.domain.operators import Operator, OperatorRole

_THIS_MACHINE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?")
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
        """Where browsers find this server, for pages of operators; None where nobody has said so.

        Anybody can send any `Host`: only that of this machine needs no setting. Pages that are kept for others go by
        the setting alone.
        """
        settings = self.services.api.settings
        if settings.public_url is not None:
            return settings.public_url
        host = next((value for name, value in self.scope["headers"] if name == b"host"), b"").decode("latin-1")
        return f"{self.scope['scheme']}://{host}" if _THIS_MACHINE.fullmatch(host) else None

    @property
    def location(self) -> str:
        """The path and the query that were asked for."""
        query = self.scope["query_string"].decode("latin-1")
        return self.scope["path"] + (f"?{query}" if query else "")
