"""Operators of the console: added, disabled, given another role, password or second factor."""

from grandstand.api.replies import Reply
from grandstand.console.forms import FormField, by_field
from grandstand.console.rendering import ask_again, page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import ConflictError, InvalidError
from grandstand.domain.operators import OPERATOR_ROLES

_PATH = "/console/operators"
FIELDS = (
    FormField("name", "Name", hint="a-z 0-9 . _ -", is_required=True),
    FormField("role", "Role", "select", choices=OPERATOR_ROLES, is_required=True),
    FormField("password", "Password", "password", "At least 12 characters", is_required=True),
)


async def get_operators(visit: Visit) -> Reply:
    """List the operators."""
    return await _show(visit)


async def post_operator(visit: Visit) -> Reply:
    """Add an operator."""
    form = visit.form
    try:
        await visit.services.operators.add(form.text("name"), form.text("role"), form.raw("password"))
    except (InvalidError, ConflictError) as error:
        return await _show(visit, error)
    return redirect(_PATH, note="created")


async def post_role(visit: Visit) -> Reply:
    """Give an operator another role."""
    try:
        await visit.services.operators.set_role(_name(visit), visit.form.text("role"))
    except InvalidError as error:
        return ask_again(visit, f"Change the role of {_name(visit)}", FIELDS[1:2], error, back=_PATH)
    return redirect(_PATH, note="role")


async def post_disable(visit: Visit) -> Reply:
    """Keep an operator out."""
    await visit.services.operators.disable(_name(visit))
    return redirect(_PATH, note="disabled")


async def post_enable(visit: Visit) -> Reply:
    """Let an operator in again."""
    await visit.services.operators.enable(_name(visit))
    return redirect(_PATH, note="enabled")


async def post_password(visit: Visit) -> Reply:
    """Give an operator another password."""
    try:
        await visit.services.operators.set_password(_name(visit), visit.form.raw("password"))
    except InvalidError as error:
        return ask_again(visit, f"Change the password of {_name(visit)}", FIELDS[2:], error, back=_PATH, keeps=False)
    return redirect(_PATH, note="password")


async def post_end_sessions(visit: Visit) -> Reply:
    """End every session of an operator."""
    await visit.services.operators.end_sessions(_name(visit))
    return redirect(_PATH, note="sessions")


async def post_totp_off(visit: Visit) -> Reply:
    """Ask an operator for no code any more; another is set up by whoever holds the authenticator, on the own page."""
    await visit.services.operators.drop_totp(_name(visit))
    return redirect(_PATH, note="totp-off")


async def _show(visit: Visit, error: InvalidError | ConflictError | None = None) -> Reply:
    errors = by_field(error.errors, FIELDS) if isinstance(error, InvalidError) else {}
    if isinstance(error, ConflictError):
        errors["name"] = error.detail
    return page(
        visit,
        "operators.html",
        status=200 if error is None else error.status,
        operators=(await visit.services.operators.list()).operators,
        roles=OPERATOR_ROLES,
        fields=FIELDS,
        # A password that was typed is not sent back.
        typed={} if error is None else {**visit.form.values(), "password": ""},
        errors=errors,
    )


def _name(visit: Visit) -> str:
    return str(visit.path["name"])


ROUTES = (
    Route("GET", _PATH, "admin", get_operators),
    Route("POST", _PATH, "admin", post_operator),
    Route("POST", _PATH + "/{name:str}/role", "admin", post_role),
    Route("POST", _PATH + "/{name:str}/disable", "admin", post_disable),
    Route("POST", _PATH + "/{name:str}/enable", "admin", post_enable),
    Route("POST", _PATH + "/{name:str}/password", "admin", post_password),
    Route("POST", _PATH + "/{name:str}/end-sessions", "admin", post_end_sessions),
    Route("POST", _PATH + "/{name:str}/totp-off", "admin", post_totp_off),
)
