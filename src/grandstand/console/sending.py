"""What becomes of a form that cannot count as it was sent: it is offered again, with all that was typed.

That is so when its session has ended, when it is of another session, when it was sent before, and when an engine is
away. It takes a click of whoever reads what would be sent.
"""

from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlencode

from valkey.exceptions import ValkeyError

from grandstand.api.replies import FileReply, Headers, Reply
from grandstand.console.form_texts import read_pairs
from grandstand.console.forms import Form
from grandstand.console.rendering import NO_STORE, page
from grandstand.console.routes import Answer
from grandstand.console.visit import Visit

_OWN = ("form_token", "form_once")
_SECRET = ("password", "password_again", "current_password", "code", "set_up")
"""Fields that are never sent back to a browser; whoever typed them types them again. A `set_up` is of one session."""

ANOTHER_SESSION = "This form is of another session than yours, so it was not taken."
SENT_BEFORE = "This form was sent before, and what it asked for is under way or done."
AWAY = "The server could not take this form just now; wait a moment."
LOGGED_IN_AGAIN = "Your session had ended, so the form was not taken."


def typed_into(form: Form) -> Form:
    """Return what was typed into a form, without what only its page knows and without passwords."""
    return Form([(name, value) for name, value in form.pairs if name not in (*_OWN, *_SECRET)])


def pack(form: Form) -> str:
    """Return what was typed into a form as one text."""
    return urlencode(typed_into(form).pairs)


def unpack(text: str) -> Form:
    """Return the form that `pack` made a text of; an empty one for any other text."""
    try:
        return Form(read_pairs(text.encode()))
    except ValueError:
        return Form()


def offer(visit: Visit, action: str, form: Form, reason: str, *, status: int, headers: Headers = ()) -> Reply:
    """Show what was typed and offer to send it again to `action`, which is a path of the console."""
    pairs = typed_into(form).pairs
    return page(
        visit,
        "send_again.html",
        status=status,
        headers=(*NO_STORE, *headers),
        action=action,
        pairs=pairs,
        reason=reason,
    )


async def answer_once(visit: Visit, answer: Answer) -> Reply | FileReply:
    """Answer a form, but a form with a mark (`form_once`) only the first time; one that was refused may come again."""
    mark, sent = visit.form.raw("form_once"), visit.services.sent_forms
    if not mark:
        return await answer(visit)
    try:
        is_first = await sent.take(visit.session, mark)
    except ValkeyError:
        # Better done twice than not at all: the browser's own guard is left.
        is_first = True
    if not is_first:
        return offer(visit, visit.scope["path"], visit.form, SENT_BEFORE, status=409)
    is_done = False
    try:
        reply = await answer(visit)
        is_done = reply.status < HTTPStatus.BAD_REQUEST
        return reply
    finally:
        if not is_done:
            with suppress(ValkeyError):
                await sent.give_back(visit.session, mark)
