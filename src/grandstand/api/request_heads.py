"""What the head of a request must be before it is one: version, target and `Host`, as RFC 9112 has them.

The parser takes more than that. What another server in front could read in another way is refused here.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from grandstand.domain.errors import MalformedError

RawHeaders = list[tuple[bytes, bytes]]

_VERSIONS = ("1.1", "1.0")
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
"""A name, an IPv4 address or one of IPv6 in brackets, and a port. Empty where the client knows no name."""

_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([^#]*)", re.IGNORECASE)


def check_head(
    version: str, method: bytes, target: bytes, headers: RawHeaders, by_name: Mapping[bytes, bytes]
) -> bytes:
    """Return the target as a path with its query, also of one that was sent with a scheme and a host.

    `by_name` are the same headers, of those that came twice the last.

    Raises:
        MalformedError: it is of another version, has no `Host` or several, or a target that is not for this server.
    """
    if version not in _VERSIONS:
        raise MalformedError("This server speaks HTTP/1.1 and HTTP/1.0.")
    if len(by_name) == len(headers):
        # Nothing came twice, so this need not be looked for one by one.
        host = by_name.get(b"host")
        hosts = [] if host is None else [host]
    else:
        hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        if hosts:
            raise MalformedError("Send one `Host` header.")
        if version != "1.0":
            raise MalformedError("A request of HTTP/1.1 needs a `Host` header.")
    elif not _is_host(hosts[0]):
        raise MalformedError("The `Host` header is no host.")
    if method == b"CONNECT":
        raise MalformedError("This server is no proxy.")
    if target[:1] == b"/":
        if b"#" in target:
            raise MalformedError("The target of a request has no fragment.")
        return target
    if target == b"*" and method == b"OPTIONS":
        return target
    return _path_of(target, hosts)


def without_upgrade(version: str, method: bytes, target: bytes, headers: RawHeaders) -> bytes:
    """Return a head as bytes that say the same and ask for no other protocol."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            options = [option.strip() for option in value.split(b",")]
            lines += [b"connection: " + option for option in options if option.lower() != b"upgrade"]
        elif name != b"upgrade":
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


@lru_cache(maxsize=256)
def _is_host(value: bytes) -> bool:
    # Few hosts are in use, and this is asked for every request.
    return len(value) <= 255 and _HOST.fullmatch(value) is not None


def _path_of(target: bytes, hosts: Iterable[bytes]) -> bytes:
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise MalformedError("The target of a request is a path.")
    authority, rest = found.groups()
    # The RFC lets the target decide; a client has to send both alike, and whoever does not wants them told apart.
    if any(authority.lower() != host.lower() for host in hosts) or not _is_host(authority):
        raise MalformedError("The target names another host than the `Host` header.")
    return rest if rest[:1] == b"/" else b"/" + rest
