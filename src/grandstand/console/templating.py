"""Templates to text. Everything that is put into one is escaped, whoever wrote it; no template says otherwise."""

import unicodedata
from datetime import UTC, datetime
from itertools import count
from secrets import token_urlsafe
from typing import Any
from urllib.parse import urlencode

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grandstand.console.assets import asset_url

NOTHING = "\N{EN DASH}"
_numbers = count()
"""Ids of questions that open above a page; only their being different matters."""

_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols that look like nothing."""

_INVISIBLE_MAX = 8

_environment = Environment(
    loader=PackageLoader("grandstand.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
    enable_async=False,
)


def render(template: str, **values: Any) -> str:
    """Return what a template says of some values."""
    return _environment.get_template(template).render(**values)


def _moment(value: datetime | str | None, empty: str = NOTHING) -> Markup:
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
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def _counted(number: int, name: str) -> str:
    """Return so many of something: `1 player`, `1,200 players`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def visible(text: str) -> str:
    """Return a text of which something can be seen; of one of which nothing can, what its characters are called.

    Any player may have such a name or id, and could else be neither read nor clicked at.
    """
    if any(unicodedata.category(each)[0] in "LNPS" and each not in _BLANKS for each in text):
        return text
    return " ".join(f"U+{ord(each):04X}" for each in text[:_INVISIBLE_MAX])


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


def _coded(text: str) -> Markup:
    """Return a sentence with what stands between backticks as code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def link(path: str, **parameters: Any) -> str:
    """Return a path with a query; parameters that are None or empty are left out."""
    given = {name: value for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


_environment.filters.update(
    moment=_moment, number=_number, counted=_counted, visible=visible, pretty=_pretty, coded=_coded
)
_environment.globals.update(asset=asset_url, link=link)
_environment.globals.update(new_id=lambda: f"ask-{next(_numbers)}", new_mark=lambda: token_urlsafe(12))
