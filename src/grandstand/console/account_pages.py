"""One's own account: password, one-time code and sessions. For every role, since nothing of the game changes."""

import io
from http import HTTPStatus
from secrets import token_urlsafe

import segno

from grandstand.api.problems import RateLimitedError
from grandstand.api.replies import Reply
from grandstand.console.forms import Form, FormField, by_field
from grandstand.console.limits import admit_log_in
from grandstand.console.rendering import NO_STORE, page, redirect
from grandstand.console.routes import Route
from grandstand.console.visit import Visit
from grandstand.domain.errors import FieldError, InvalidError
from grandstand.domain.operators import check_password
from grandstand.operations.one_time_codes import is_code

_PATH = "/console/account"
_CURRENT = FormField("current_password", "Current password", "current-password", is_required=True)
PASSWORD_FIELDS = (
    _CURRENT,
    FormField("password", "New password", "password", "At least 12 characters", is_required=True),
    FormField("password_again", "New password again", "password", is_required=True),
)
CODE_FIELDS = (_CURRENT, FormField("code", "Code", "one-time-code", "Six digits", is_required=True))

_Refusal = InvalidError | RateLimitedError


async def get_account(visit: Visit) -> Reply:
    """Show the account."""
    return await _show(visit)


async def post_password(visit: Visit) -> Reply:
    """Change the password; the session that does it goes on."""
    form = visit.form
    wrong = _missing(form, PASSWORD_FIELDS)
    if form.raw("password"):
        wrong += check_password(form.raw("password"))
    if form.raw("password_again") and form.raw("password_again") != form.raw("password"):
        wrong.append(FieldError("password_again", "is another than the new password"))
    try:
        await _admit(visit, wrong)
        await visit.services.account.change_password(
            visit.operator.name, visit.session, form.raw("current_password"), form.raw("password")
        )
    except (InvalidError, RateLimitedError) as error:
        return await _show(visit, error)
    return redirect(_PATH, note="own-password")


async def get_code(visit: Visit) -> Reply:
    """Begin to set up a one-time code: show its secret, which is in force once a code of it was typed."""
    account = await visit.services.account.get(visit.operator.name, visit.session)
    return redirect(_PATH) if account.has_totp else await _show_set_up(visit, token_urlsafe(12))


async def get_code_picture(visit: Visit) -> Reply:
    """Draw the QR code of a set-up. The address holds no secret: that follows from the session, too."""
    mark = visit.query.text("set_up") or ""
    set_up = await visit.services.account.show_totp(visit.operator.name, visit.session, mark)
    drawn = io.BytesIO()
    # Dark on light whatever the page's colours are: not every reader takes the inverse.
    segno.make_qr(set_up.uri).save(drawn, kind="svg", border=4, light="#fff", xmldecl=False, omitsize=True)
    return Reply(HTTPStatus.OK, drawn.getvalue(), "image/svg+xml", NO_STORE)


async def post_code(visit: Visit) -> Reply:
    """Put a set-up in force."""
    form, mark = visit.form, visit.form.raw("set_up") or token_urlsafe(12)
    try:
        await _admit(visit, _wrong_code(form))
        await visit.services.account.turn_totp_on(
            visit.operator.name, visit.session, mark, form.raw("current_password"), form.text("code")
        )
    except (InvalidError, RateLimitedError) as error:
        return await _show_set_up(visit, mark, error)
    return redirect(_PATH, note="totp-on")


async def get_code_off(visit: Visit) -> Reply:
    """Ask for what it takes to turn the code off."""
    account = await visit.services.account.get(visit.operator.name, visit.session)
    return _show_code_off(visit) if account.has_totp else redirect(_PATH)


async def post_code_off(visit: Visit) -> Reply:
    """Ask for no code any more."""
    form = visit.form
    try:
        await _admit(visit, _wrong_code(form))
        await visit.services.account.turn_totp_off(visit.operator.name, form.raw("current_password"), form.text("code"))
    except (InvalidError, RateLimitedError) as error:
        return _show_code_off(visit, error)
    return redirect(_PATH, note="totp-off")


async def post_end_sessions(visit: Visit) -> Reply:
    """End the operator's other sessions."""
    await visit.services.account.end_other_sessions(visit.operator.name, visit.session)
    return redirect(_PATH, note="own-sessions")


async def _admit(visit: Visit, wrong: list[FieldError]) -> None:
    """Refuse what is wrong at sight; count everything else as a log-in, since it may be a guess.

    Raises:
        InvalidError: something is wrong.
        RateLimitedError: there were too many.
    """
    if wrong:
        raise InvalidError(wrong)
    await admit_log_in(visit.scope, visit.services, visit.operator.name)


def _missing(form: Form, fields: tuple[FormField, ...]) -> list[FieldError]:
    return [FieldError(item.name, "is needed") for item in fields if not form.raw(item.name)]


def _wrong_code(form: Form) -> list[FieldError]:
    wrong = _missing(form, CODE_FIELDS)
    if form.raw("code") and not is_code(form.text("code")):
        wrong.append(FieldError("code", "must be six digits"))
    return wrong


def _told(error: _Refusal | None, fields: tuple[FormField, ...]) -> dict[str, str]:
    if error is None:
        return {}
    return by_field(error.errors, fields) if isinstance(error, InvalidError) else {"": error.detail}


async def _show(visit: Visit, error: _Refusal | None = None) -> Reply:
    """Show the account. Nothing that was typed is sent back: all of it is secret."""
    return page(
        visit,
        "account.html",
        status=HTTPStatus.OK if error is None else error.status,
        account=await visit.services.account.get(visit.operator.name, visit.session),
        fields=PASSWORD_FIELDS,
        errors=_told(error, PASSWORD_FIELDS),
    )


async def _show_set_up(visit: Visit, mark: str, error: _Refusal | None = None) -> Reply:
    return page(
        visit,
        "account_code.html",
        status=HTTPStatus.OK if error is None else error.status,
        set_up=await visit.services.account.show_totp(visit.operator.name, visit.session, mark),
        mark=mark,
        fields=CODE_FIELDS,
        errors=_told(error, CODE_FIELDS),
    )


def _show_code_off(visit: Visit, error: _Refusal | None = None) -> Reply:
    return page(
        visit,
        "ask_again.html",
        status=HTTPStatus.OK if error is None else error.status,
        title="Turn the code off",
        fields=CODE_FIELDS,
        typed={},
        errors=_told(error, CODE_FIELDS),
        back=_PATH,
    )


ROUTES = (
    Route("GET", _PATH, "viewer", get_account),
    Route("POST", _PATH + "/password", "viewer", post_password),
    Route("GET", _PATH + "/code", "viewer", get_code),
    Route("GET", _PATH + "/code.svg", "viewer", get_code_picture),
    Route("POST", _PATH + "/code", "viewer", post_code),
    Route("GET", _PATH + "/code-off", "viewer", get_code_off),
    Route("POST", _PATH + "/code-off", "viewer", post_code_off),
    Route("POST", _PATH + "/end-sessions", "viewer", post_end_sessions),
)
