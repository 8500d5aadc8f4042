"""Headers of every answer of the console, and whether a form comes from a page of ours."""

from collections.abc import Sequence
from hmac import compare_digest

from litestar.types import HTTPScope

from grandstand.api.replies import Headers

SESSION_COOKIE = "gs_console"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
)
_SHARED: Headers = (
    # Not `no-referrer`: then browsers would send `Origin: null` with our own forms.
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
HEADERS: Headers = (
    (b"content-security-policy", _POLICY.format(ancestors="'none'").encode()),
    (b"x-frame-options", b"DENY"),
    *_SHARED,
)
"""Pages of the console: nothing from elsewhere, nothing inline, in nobody's frame."""

EMBEDDABLE: Headers = ((b"content-security-policy", _POLICY.format(ancestors="*").encode()), *_SHARED)
"""Public boards, which any page may show in a frame: they have no cookie and nothing that could be clicked away."""


def read_cookie(scope: HTTPScope) -> str | None:
    """Return what the cookie of the session holds."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, text = part.strip().partition("=")
                if key == SESSION_COOKIE and text:
                    return text
    return None


def write_cookie(session: str, scope: HTTPScope, *, age_seconds: int, is_https: bool) -> Headers:
    """Return the header that sets the cookie; with an age of 0 it is forgotten."""
    secure = "; Secure" if is_https or scope["scheme"] == "https" else ""
    text = f"{SESSION_COOKIE}={session}; Path=/console; Max-Age={age_seconds}; HttpOnly; SameSite=Strict{secure}"
    return ((b"set-cookie", text.encode("ascii")),)


def is_from_here(scope: HTTPScope) -> bool:
    """Whether a browser says that a form was sent by a page of this origin; one that says nothing is believed.

    Whoever is no browser has no cookie of somebody else, either.
    """
    said = {name: value for name, value in scope["headers"] if name in (b"sec-fetch-site", b"origin", b"host")}
    if b"sec-fetch-site" in said:
        return said[b"sec-fetch-site"] in (b"same-origin", b"none")
    if b"origin" in said:
        return said[b"origin"].partition(b"://")[2] == said.get(b"host", b"")
    return True


def is_said_to_be_from_here(scope: HTTPScope) -> bool:
    """Whether a browser says that a form was sent by a page of this origin; silence is no."""
    return is_from_here(scope) and any(name in (b"sec-fetch-site", b"origin") for name, _ in scope["headers"])


def is_token_right(given: Sequence[str], token: str) -> bool:
    """Whether a form holds the token of its session."""
    return len(given) == 1 and bool(token) and compare_digest(given[0].encode(), token.encode())
