"""Reads the URLs that name more than one server: `valkey+cluster://host:port,…` and `valkey+sentinel://host:port,…/service`."""

from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

_DEFAULT_PORTS = {"cluster": 6379, "sentinel": 26379}


class Servers(NamedTuple):
    """Where to ask first, and what connections need. `service` is what the Sentinels call the primary."""

    kind: str
    addresses: list[tuple[str, int]]
    service: str
    options: dict[str, Any]


def read_servers(url: str) -> Servers | None:
    """Return what such a URL names; None for the URL of one server.

    `valkeys+…` speaks TLS. A user and password are those of the data servers; `sentinel_password=` in the query is the
    Sentinels' own.

    Raises:
        ValueError: an address or the service is missing or wrong.
    """
    scheme, _, kind = url.partition("://")[0].partition("+")
    if not kind:
        return None
    parts = urlsplit(url)
    credentials, _, listed = parts.netloc.rpartition("@")
    addresses = []
    for item in listed.split(","):
        address = urlsplit(f"//{item}")
        if not address.hostname:
            raise ValueError("an address is missing")
        addresses.append((address.hostname, address.port or _DEFAULT_PORTS[kind]))
    service = parts.path.strip("/")
    if kind == "sentinel" and not service:
        raise ValueError("the name of the service is missing behind the addresses")
    options: dict[str, Any] = {}
    if scheme in ("valkeys", "rediss"):
        options["ssl"] = True
    if credentials:
        user, _, password = credentials.partition(":")
        options |= {"username": unquote(user) or None, "password": unquote(password) or None}
    query = parse_qs(parts.query)
    if "sentinel_password" in query:
        options["sentinel_password"] = query["sentinel_password"][0]
    return Servers(kind, addresses, service, options)
