"""Logging in and out."""

from dataclasses import replace
from urllib.parse import quote

from grandstand.api.problems import RateLimitedError
from grandstand.api.replies import Reply
from grandstand.console.forms import Form
from grandstand.console.limits import admit_log_in
from grandstand.console.rendering import page, redirect, retry_after
from grandstand.console.routes import Route
from grandstand.console.security import write_cookie
from grandstand.console.sending import LOGGED_IN_AGAIN, offer, pack, unpack
from grandstand.console.visit import Visit
from grandstand.domain.errors import UnauthorizedError, UnavailableError
from grandstand.operations.operator_sessions import SESSION_MAX

_HOME = "/console"
_ENDED = "Your session has ended. What you typed is kept: log in, and send it again."


def ask(visit: Visit) -> Reply:
    """Send to the log-in a visitor whose session is missing or has ended; a script's request to load the page anew.

    What was typed into a form goes along, and is offered again after the log-in.
    """
    if visit.is_part:
        return Reply(200, b"", "text/html", ((b"hx-refresh", b"true"), (b"cache-control", b"no-store")))
    if visit.scope["method"] == "POST" and _typed(visit.form):
        action = _inside(visit.scope["path"])
        return _show(visit, 401, name="", refusal=_ENDED, kept=pack(visit.form), action=action)
    target = visit.location if visit.scope["method"] == "GET" else _HOME
    return redirect("/console/log-in" + ("" if target == _HOME else f"?to={quote(target)}"))


async def get_log_in(visit: Visit) -> Reply:
    """Show the form."""
    return _show(visit, 200, to=_inside(visit.query.text("to")))


async def post_log_in(visit: Visit) -> Reply:
    """Begin a session."""
    form, to, action = visit.form, _inside(visit.form.text("to")), _inside(visit.form.text("action"))
    name = form.text("name")
    try:
        await admit_log_in(visit.scope, visit.services, name)
        session = await visit.services.sessions.log_in(name, form.raw("password"), form.text("code"), visit.address)
    except (UnauthorizedError, RateLimitedError) as error:
        return _show(visit, error.status, to=to, name=name, refusal=error.detail, kept=form.raw("kept"), action=action)
    except UnavailableError as error:
        # What is carried along is to outlive this, too.
        shown = _show(visit, error.status, to=to, name=name, refusal=error.detail, kept=form.raw("kept"), action=action)
        return shown._replace(headers=(*shown.headers, *retry_after(error)))
    is_https = visit.services.api.settings.console_secure_cookies
    cookie = write_cookie(session, visit.scope, age_seconds=int(SESSION_MAX.total_seconds()), is_https=is_https)
    kept = unpack(form.raw("kept"))
    found = await visit.services.sessions.find(session) if action != _HOME and _typed(kept) else None
    if found is None:
        return redirect(to, headers=cookie)
    inside = replace(visit, operator=found.operator, form_token=found.form_token, session=session)
    return offer(inside, action, kept, LOGGED_IN_AGAIN, status=200, headers=cookie)


async def post_log_out(visit: Visit) -> Reply:
    """End the session."""
    await visit.services.sessions.log_out(visit.session, visit.operator.name)
    return redirect("/console/log-in", headers=write_cookie("", visit.scope, age_seconds=0, is_https=False))


def _show(
    visit: Visit,
    status: int,
    *,
    to: str = _HOME,
    name: str = "",
    refusal: str | None = None,
    kept: str = "",
    action: str = "",
) -> Reply:
    return page(
        visit, "log_in.html", status=status, to=to, name=name, refusal=refusal, kept=kept, action=_inside(action)
    )


def _typed(form: Form) -> bool:
    """Whether a form holds anything that somebody might have to type again."""
    return pack(form) != ""


def _inside(target: str | None) -> str:
    """Return a page of the console to go on to; whatever else an address asks for is not followed."""
    is_page = target is not None and target.startswith("/console/") and target.isascii() and target.isprintable()
    return target if is_page and target is not None and "\\" not in target else _HOME


ROUTES = (
    Route("GET", "/console/log-in", None, get_log_in),
    Route("POST", "/console/log-in", None, post_log_in),
    Route("POST", "/console/log-out", "viewer", post_log_out),
)
