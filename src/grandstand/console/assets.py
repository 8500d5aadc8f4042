"""Style sheets and scripts: our own, and those of libraries out of their packages. All come from this origin.

Each is served under the hash of its content, so browsers keep it for ever and a new version is a new address.
"""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from grandstand.api.replies import Reply

PREFIX = "/console/static/"
_KEPT = ((b"cache-control", b"public, max-age=31536000, immutable"),)
_NOT_KEPT = ((b"cache-control", b"no-store"),)


class Asset(NamedTuple):
    """A file as it is served."""

    body: bytes
    media_type: str
    digest: str


def _load(package: str, path: str, media_type: str) -> Asset:
    body = files(package).joinpath(path).read_bytes()
    return Asset(body, media_type, hashlib.blake2b(body, digest_size=8).hexdigest())


_JS, _CSS, _SVG = "text/javascript", "text/css", "image/svg+xml"
ASSETS = {
    "console.css": _load("grandstand.console", "static/console.css", _CSS),
    "board.css": _load("grandstand.console", "static/board.css", _CSS),
    "console.js": _load("grandstand.console", "static/console.js", _JS),
    "board.js": _load("grandstand.console", "static/board.js", _JS),
    "live.js": _load("grandstand.console", "static/live.js", _JS),
    "embed.js": _load("grandstand.console", "static/embed.js", _JS),
    "icon.svg": _load("grandstand.console", "static/icon.svg", _SVG),
    "htmx.js": _load("js_lib_htmx", "static/htmx/htmx.min.js", _JS),
}


def asset_url(name: str) -> str:
    """Return the address of a file."""
    return f"{PREFIX}{ASSETS[name].digest}/{name}"


def answer_asset(digest: str, name: str) -> Reply:
    """Return a file. Who asks for another version's gets this one, not to be kept.

    Pages of the version before are kept by browsers and edges, and come from other processes during an upgrade.
    """
    asset = ASSETS.get(name)
    if asset is None:
        return Reply(404, b"There is no such file.\n", "text/plain", _NOT_KEPT)
    return Reply(200, asset.body, asset.media_type, _KEPT if asset.digest == digest else _NOT_KEPT)


def answer_script(name: str) -> Reply:
    """Return a script at an address that stays the same, so it is kept for an hour only."""
    return Reply(200, ASSETS[name].body, ASSETS[name].media_type, ((b"cache-control", b"public, max-age=3600"),))
