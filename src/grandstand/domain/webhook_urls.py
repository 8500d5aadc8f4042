"""Where webhooks may go: which URLs are taken, and which addresses are public.

A URL is read strictly, so that no two programs read it differently. The check that counts is the one of the address:
it is made on the very address that is connected to, whatever a name resolves to by then
(`operations/webhook_connections.py`).
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from grandstand.domain.errors import FieldError, InvalidError

URL_LENGTH_MAX = 2_000
_HOST_LENGTH_MAX = 253
_PORT_MAX = 65_535

_DEFAULT_PORTS = {"http": 80, "https": 443}
# Printable ASCII without blanks and without what some readers turn into something else: < > " \ ^ ` { | } and #.
_CHARACTERS = re.compile(r"[!$-;=?-\[\]_a-z~]+\Z")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
_NUMERIC_LABEL = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")

# IANA's special-purpose registries and multicast; what Python calls global has changed between its versions.
_CLOSED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_OPEN_IPV6 = IPv6Network("2000::/3")
"""All that is global unicast. Outside lie loopback, link-local, private, multicast, IPv4-mapped and NAT64 addresses."""

_CLOSED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, Teredo with its embedded IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)


class WebhookUrl(NamedTuple):
    """A URL that passed, in parts; `host` is an address or a name in lower case, `authority` as it stands in `Host`."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet; what is no address is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _CLOSED_IPV4)
    return parsed.scope_id is None and parsed in _OPEN_IPV6 and not any(parsed in network for network in _CLOSED_IPV6)


def read_webhook_url(text: str) -> WebhookUrl:
    """Read a URL and check everything that can be checked without asking anybody.

    Raises:
        InvalidError: it is no http or https URL of plain ASCII with a host; or it carries credentials or a fragment.
    """
    if not 1 <= len(text) <= URL_LENGTH_MAX:
        raise _refusal(f"must have 1 to {URL_LENGTH_MAX} characters")
    if not _CHARACTERS.match(text):
        raise _refusal("must be plain ASCII without blanks, backslashes and fragments; encode the rest (%20, xn--)")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _refusal("is not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise _refusal("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise _refusal("must not carry a user name or password")
    if not host:
        raise _refusal("needs a host")
    if port is not None and not 1 <= port <= _PORT_MAX:
        raise _refusal(f"needs a port between 1 and {_PORT_MAX}, or none")
    is_bracketed = parts.netloc.startswith("[")
    if not (_is_ipv6(host) if is_bracketed else _is_name(host)):
        raise _refusal("needs a host that is a name or an address in its usual form")
    shown = f"[{host}]" if is_bracketed else host
    if parts.netloc.lower() != (shown if port is None else f"{shown}:{port}"):
        raise _refusal("is not a URL")
    number = port or _DEFAULT_PORTS[parts.scheme]
    authority = shown if number == _DEFAULT_PORTS[parts.scheme] else f"{shown}:{number}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return WebhookUrl(parts.scheme, host, number, authority, target)


def _refusal(message: str) -> InvalidError:
    return InvalidError([FieldError("url", message)])


def _is_ipv6(host: str) -> bool:
    try:
        return isinstance(ip_address(host), IPv6Address) and "%" not in host
    except ValueError:
        return False


def _is_name(host: str) -> bool:
    if len(host) > _HOST_LENGTH_MAX or not _NAME.match(host):
        return False
    # Resolvers read 127.1, 0x7f.1 and 2130706433 as addresses: only the form with four numbers says what it is.
    if not _NUMERIC_LABEL.match(host.rpartition(".")[2]):
        return True
    try:
        return isinstance(ip_address(host), IPv4Address)
    except ValueError:
        return False
