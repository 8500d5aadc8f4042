"""Templates to HTML. Everything that is put into one is escaped, whoever wrote it; no template says otherwise."""

from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grandstand.api.replies import Headers, Reply
from grandstand.console.assets import asset_url
from grandstand.console.visit import Visit

HTML = "text/html"
NO_STORE: Headers = ((b"cache-control", b"private, no-store"),)

_NOTHING = "\N{EN DASH}"
_numbers = count()
"""Ids of questions that open above a page; only their being different matters."""

_environment = Environment(
    loader=PackageLoader("grandstand.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
    enable_async=False,
)


def page(visit: Visit, template: str, *, status: int = 200, headers: Headers = NO_STORE, **values: Any) -> Reply:
    """Return a page. `visit` and `here` (the first part of its path) are there in every template."""
    here = visit.scope["path"].removeprefix("/console").strip("/").partition("/")[0]
    text = _environment.get_template(template).render(visit=visit, here=here, **values)
    return Reply(status, text.encode(), HTML, headers)


def redirect(to: str, *, note: str = "", headers: Headers = ()) -> Reply:
    """Return a redirection to a page of this origin; `note` is a key of `NOTES` that the page then shows."""
    if note:
        to += ("&" if "?" in to else "?") + urlencode({"note": note})
    return Reply(303, b"", HTML, (*NO_STORE, (b"location", to.encode("ascii")), *headers))


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
    "totp-off": "No code is asked for any more.",
    "gone": "Some of them were decided, replayed or deleted by somebody else meanwhile.",
}
"""What a page may say after a change; the address holds the key only, so no link can put words into it."""


def _moment(value: datetime | str | None, empty: str = _NOTHING) -> Markup:
    """Return a time for people: a script writes it in the viewer's zone, and UTC shows to whoever points at it."""
    if value is None:
        return Markup('<span class="quiet">{}</span>').format(empty)
    moment = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else value
    moment = moment.astimezone(UTC)
    shown = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), shown, shown)


def _number(value: float | None) -> str:
    """Return a number with its digits in groups of three."""
    if value is None:
        return _NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _pretty(value: Any) -> str:
    """Return JSON over several lines."""
    if isinstance(value, str | msgspec.Raw):
        text = value if isinstance(value, str) else bytes(value).decode()
    else:
        text = msgspec.json.encode(value).decode()
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:
        return text


def _link(path: str, **parameters: Any) -> str:
    """Return a path with a query; parameters that are None or empty are left out."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


_environment.filters.update(moment=_moment, number=_number, pretty=_pretty)
_environment.globals.update(asset=asset_url, link=_link, notes=NOTES, new_id=lambda: f"ask-{next(_numbers)}")
