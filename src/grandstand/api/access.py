"""Who may do what: turns a request's credential into a principal and checks it against the rules of a route."""

from litestar.types import HTTPScope

from grandstand.api.client_address import address_text, client_address, is_within
from grandstand.api.services import Services
from grandstand.domain.credentials import Principal, Scope
from grandstand.domain.errors import ForbiddenError, UnauthorizedError
from grandstand.domain.leaderboards import Visibility
from grandstand.operations.audit import Origin, set_origin

Sender = Principal | UnauthorizedError
"""Who sent a request, or why the credential that came with it is not good."""


def principal_of(scope: HTTPScope, services: Services) -> Principal:
    """Return who sent the request; what the request changes is written down as this principal's doing.

    Raises:
        UnauthorizedError: there is a credential and it is not good.
    """
    principal = services.authenticator.principal(authorization_of(scope))
    address = address_text(scope, services.settings.trusted_proxies)
    set_origin(Origin(principal.kind, principal.user_id or principal.key_id, address))
    return principal


def sender_of(scope: HTTPScope, services: Services) -> Sender:
    """Return who sent the request, or why its credential is not good: whoever guesses counts into limits, too."""
    try:
        authorization = authorization_of(scope)
    except UnauthorizedError as error:
        return _anew(error)
    return sender_with(authorization, services)


def sender_with(authorization: str | None, services: Services) -> Sender:
    """Return who sends requests with this `Authorization` header, as `sender_of` does."""
    try:
        return services.authenticator.principal(authorization)
    except UnauthorizedError as error:
        return _anew(error)


def _anew(error: UnauthorizedError) -> UnauthorizedError:
    """Return the same refusal without its traceback, nor that of what led to it.

    They name the frames of who would keep it, a cycle that holds a whole body until somebody looks for cycles.
    """
    return UnauthorizedError(error.detail, **error.extra)


def authorization_of(scope: HTTPScope) -> str | None:
    """Return the `Authorization` header.

    Raises:
        UnauthorizedError: there are several: a proxy may have looked at another than we would.
    """
    found = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            if found is not None:
                raise UnauthorizedError("Send one `Authorization` header.")
            found = value
    return None if found is None else found.decode("latin-1")


def require_operator(principal: Principal, scope: Scope) -> None:
    """Let admin keys pass, and server keys whose scopes reach this.

    Raises:
        UnauthorizedError: there is no credential.
        ForbiddenError: there is another one, or its scopes do not reach this.
    """
    if principal.may(scope):
        return
    if principal.kind == "anonymous":
        raise UnauthorizedError("Send a server key as `Authorization: Bearer gs_server_…`.")
    raise _forbidden(principal, scope, "This needs a server key.")


def require_admin(principal: Principal) -> None:
    """Let admin keys pass.

    Raises:
        UnauthorizedError: there is no credential.
        ForbiddenError: there is another one.
    """
    if principal.kind == "admin":
        return
    if principal.kind == "anonymous":
        raise UnauthorizedError("Send an admin key as `Authorization: Bearer gs_admin_…`.")
    raise ForbiddenError("This needs an admin key.")


def require_sender(principal: Principal, scope: Scope) -> None:
    """Let those pass who may act for a player: server and admin keys for anyone, a player token for its own user.

    Raises:
        UnauthorizedError: there is no credential.
        ForbiddenError: there is another one.
    """
    if principal.user_id is not None or principal.may(scope):
        return
    if principal.kind == "anonymous":
        raise UnauthorizedError("Send a player token or a server key as `Authorization: Bearer …`.")
    raise _forbidden(principal, scope, "A client key cannot do that: open a session with it and send the player token.")


def require_reader(principal: Principal, scope: Scope, visibility: Visibility, own_user_id: str | None = None) -> None:
    """Let those pass who may read a board; of a private one, a player may read the place that is their own.

    Raises:
        UnauthorizedError: the board is private and there is no credential.
        ForbiddenError: the board is private and the credential does not reach it.
    """
    if visibility == "public" or principal.may(scope):
        return
    if principal.kind == "anonymous":
        raise UnauthorizedError("This is private; send a server key.")
    if own_user_id is not None and principal.user_id == own_user_id:
        return
    raise _forbidden(principal, scope, "This is private; it needs a server key.")


def shown_to(principal: Principal, visibility: Visibility) -> Visibility:
    """Return who may be shown an answer to this caller: what a player's token adds is for nobody else."""
    return "private" if principal.kind == "player" else visibility


def shown_as_defined(principal: Principal, visibility: Visibility) -> Visibility:
    """Return who may be shown a definition that this caller asked for.

    Whoever may change it is shown what it is now, and no copy.
    """
    return "private" if principal.is_operator else visibility


def actor_of(principal: Principal) -> str:
    """Return who speaks, as it is kept beside what was done: the kind, and the user or the id of the key."""
    return f"{principal.kind}:{principal.user_id or principal.key_id or ''}".rstrip(":")


def require_self(principal: Principal, user_id: str, scope: Scope) -> None:
    """Let those pass who may speak for a player: server and admin keys, and the player's own token.

    Raises:
        UnauthorizedError: there is no credential.
        ForbiddenError: it is of somebody else.
    """
    if principal.may(scope) or (principal.user_id is not None and principal.user_id == user_id):
        return
    if principal.kind == "anonymous":
        raise UnauthorizedError("Send the player's token or a server key as `Authorization: Bearer …`.")
    raise _forbidden(principal, scope, "This needs the player's own token or a server key.")


def require_watcher(scope: HTTPScope, services: Services) -> None:
    """Let those pass who may watch the deployment: server and admin keys, and the networks that a setting names.

    Raises:
        UnauthorizedError, ForbiddenError: as for `require_operator`.
    """
    settings = services.settings
    if settings.ops_allow and is_within(client_address(scope, settings.trusted_proxies), settings.ops_allow):
        return
    require_operator(principal_of(scope, services), "operations:read")


def _forbidden(principal: Principal, scope: Scope, detail: str) -> ForbiddenError:
    if principal.is_operator:
        return ForbiddenError(f"This key has no scope `{scope}`.")
    return ForbiddenError(detail)
