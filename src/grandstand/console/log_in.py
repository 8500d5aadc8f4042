"""Logging in and out."""

from urllib.parse import quote

from grandstand.api.problems import RateLimitedError
from grandstand.api.replies import Reply
from grandstand.console.limits import admit_log_in
from grandstand.console.rendering import page, redirect
from grandstand.console.routes import Route
from grandstand.console.security import write_cookie
from grandstand.console.visit import Visit
from grandstand.domain.errors import GrandstandError, UnauthorizedError
from grandstand.operations.operator_sessions import SESSION_MAX

_HOME = "/console"


def ask(visit: Visit) -> Reply:
    """Send to the log-in a visitor whose session is missing or has ended; a script's request to load the page anew."""
    if visit.is_part:
        return Reply(200, b"", "text/html", ((b"hx-refresh", b"true"), (b"cache-control", b"no-store")))
    target = visit.location if visit.scope["method"] == "GET" else _HOME
    return redirect("/console/log-in" + ("" if target == _HOME else f"?to={quote(target)}"))


async def get_log_in(visit: Visit) -> Reply:
    """Show the form."""
    return page(visit, "log_in.html", to=_inside(visit.query.text("to")), name="", refusal=None)


async def post_log_in(visit: Visit) -> Reply:
    """Begin a session."""
    form, to = visit.form, _inside(visit.form.text("to"))
    name = form.text("name")
    try:
        await admit_log_in(visit.scope, visit.services, name)
        session = await visit.services.sessions.log_in(name, form.raw("password"), form.text("code"), visit.address)
    except (UnauthorizedError, RateLimitedError) as error:
        return _refuse(visit, error, to, name)
    is_https = visit.services.api.settings.console_secure_cookies
    cookie = write_cookie(session, visit.scope, age_seconds=int(SESSION_MAX.total_seconds()), is_https=is_https)
    return redirect(to, headers=cookie)


async def post_log_out(visit: Visit) -> Reply:
    """End the session."""
    await visit.services.sessions.log_out(visit.session, visit.operator.name)
    return redirect("/console/log-in", headers=write_cookie("", visit.scope, age_seconds=0, is_https=False))


def _refuse(visit: Visit, error: GrandstandError, to: str, name: str) -> Reply:
    return page(visit, "log_in.html", status=error.status, to=to, name=name, refusal=error.detail)


def _inside(target: str | None) -> str:
    """Return a page of the console to go on to; whatever else an address asks for is not followed."""
    is_page = target is not None and target.startswith("/console/") and target.isascii() and target.isprintable()
    return target if is_page and target is not None and "\\" not in target else _HOME


ROUTES = (
    Route("GET", "/console/log-in", None, get_log_in),
    Route("POST", "/console/log-in", None, post_log_in),
    Route("POST", "/console/log-out", "viewer", post_log_out),
)
