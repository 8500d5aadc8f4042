"""`/api/prizes…`: what was won, and its claim."""

from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from grandstand.api.access import actor_of, principal_of, require_operator, require_sender
from grandstand.api.bodies import read_body
from grandstand.api.pages import Pages
from grandstand.api.prize_reads import PRIZES_PATH, list_prizes
from grandstand.api.replies import PRIVATE, json_reply
from grandstand.api.services import Services
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.json_bodies import decode_body

VOID_BYTES_MAX = 16_384
REASON_LENGTH_MAX = 1_000

AnyRequest = Request[Any, Any, Any]


class VoidRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Why a prize is voided; kept in its trace."""

    reason: str | None = None


class PrizeRoutes(Controller):
    """The routes of prizes."""

    path = PRIZES_PATH

    @get("/")
    async def get_list(
        self, request: AnyRequest, services: NamedDependency[Services], pages: NamedDependency[Pages]
    ) -> Response[bytes]:
        """List prizes; the front answers this path sooner, by the same function."""
        return (await list_prizes(request.scope, services, pages)).as_response()

    @post("/{prize_id:str}/claim", status_code=HTTPStatus.OK)
    async def post_claim(
        self, request: AnyRequest, services: NamedDependency[Services], prize_id: FromPath[str]
    ) -> Response[bytes]:
        """Claim a prize, once."""
        principal = principal_of(request.scope, services)
        require_sender(principal, "prizes:write")
        prize = await services.prizes.claim(
            prize_id, key=_idempotency_key(request), only_user_id=principal.user_id, actor=actor_of(principal)
        )
        return json_reply(prize, headers=PRIVATE).as_response()

    @post("/{prize_id:str}/void", status_code=HTTPStatus.OK)
    async def post_void(
        self, request: AnyRequest, services: NamedDependency[Services], prize_id: FromPath[str]
    ) -> Response[bytes]:
        """Void a prize that is not claimed."""
        principal = principal_of(request.scope, services)
        require_operator(principal, "prizes:write")
        reason = _read_reason(await read_body(request.scope, request.receive, VOID_BYTES_MAX))
        prize = await services.prizes.void(prize_id, actor=actor_of(principal), reason=reason)
        return json_reply(prize, headers=PRIVATE).as_response()


def _idempotency_key(request: AnyRequest) -> str | None:
    for name, value in request.scope["headers"]:
        if name == b"idempotency-key":
            return value.decode("latin-1")
    return None


def _read_reason(body: bytes) -> str | None:
    if not body:
        return None
    reason = decode_body(body, VoidRequest).reason
    if reason is not None and (not 0 < len(reason) <= REASON_LENGTH_MAX or "\x00" in reason):
        raise InvalidError([FieldError("reason", f"must be 1 to {REASON_LENGTH_MAX} characters without NUL")])
    return reason
