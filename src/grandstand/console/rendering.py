"""Answers of the console: pages, and redirections after a change with a word on what was done."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from grandstand.api.replies import Headers, Reply
from grandstand.console.forms import FormField, by_field
from grandstand.console.templating import render
from grandstand.console.visit import Visit
from grandstand.domain.errors import GrandstandError, InvalidError

HTML = "text/html"
NO_STORE: Headers = ((b"cache-control", b"private, no-store"),)


def page(visit: Visit, template: str, *, status: int = 200, headers: Headers = NO_STORE, **values: Any) -> Reply:
    """Return a page. `visit` and `here` (the first part of its path) are there in every template."""
    here = visit.scope["path"].removeprefix("/console").strip("/").partition("/")[0]
    return Reply(status, render(template, visit=visit, here=here, notes=NOTES, **values).encode(), HTML, headers)


def ask_again(
    visit: Visit, title: str, fields: Sequence[FormField], wrong: InvalidError, *, back: str, keeps: bool = True
) -> Reply:
    """Show by itself a form that stood above a page, with what was typed (unless it is secret) and what is wrong."""
    typed, errors = visit.form.values() if keeps else {}, by_field(wrong.errors, fields)
    return page(visit, "ask_again.html", status=422, title=title, fields=fields, typed=typed, errors=errors, back=back)


def redirect(to: str, *, note: str = "", headers: Headers = ()) -> Reply:
    """Return a redirection to a page of this origin; `note` is a key of `NOTES` that the page then shows."""
    if note:
        to += ("&" if "?" in to else "?") + urlencode({"note": note})
    return Reply(303, b"", HTML, (*NO_STORE, (b"location", to.encode("ascii")), *headers))


def retry_after(error: GrandstandError) -> Headers:
    """Return when to come again, as a header; none where the error does not say."""
    return ((b"retry-after", str(error.extra["retry_after"]).encode()),) if "retry_after" in error.extra else ()


NOTES = {
    "saved": "Saved.",
    "created": "Created.",
    "deleted": "Deleted.",
    "reset": "The period has ended and the next one has begun.",
    "removed": "The player was taken off the board.",
    "cancelled": "Cancelled.",
    "ended": "Ended. Standings freeze after the grace, then prizes are written.",
    "claimed": "Claimed.",
    "voided": "Voided.",
    "banned": "Banned: off every board, and prizes that were not claimed are void.",
    "unbanned": "The ban is lifted: scores that arrive from now on count.",
    "erased": "The player is erased.",
    "entered": "Entered.",
    "released": "Released: the events count now.",
    "rejected": "Rejected: the events never count.",
    "replayed": "On their way again.",
    "revoked": "Revoked.",
    "tested": "A test event is on its way.",
    "enabled": "Enabled.",
    "disabled": "Disabled.",
    "role": "The role is changed.",
    "password": "The password is changed, and its sessions have ended.",
    "sessions": "The sessions have ended.",
    "own-password": "Your password is changed, and your other sessions have ended.",
    "own-sessions": "Your other sessions have ended.",
    "totp-on": "From now on a code is asked for when you log in.",
    "totp-off": "No code is asked for any more.",
    "none": "Nothing was ticked, so nothing was done.",
    "gone": "Some of them were decided, replayed or deleted by somebody else meanwhile.",
}
"""What a page may say after a change; the address holds the key only, so no link can put words into it."""
