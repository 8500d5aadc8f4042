"""Where a request comes from: the peer's address, or what a trusted proxy says of it."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from litestar.types import HTTPScope

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

_IPV6_CUSTOMER_PREFIX = 64
"""A provider gives each customer at least so much of IPv6: single addresses are too many to count."""

_FORWARDED_READ_MAX = 1024
"""Bytes from the right end of `X-Forwarded-For` that are read, and remembered: more than a score of proxies write."""


def client_address(scope: HTTPScope, trusted: Networks) -> Address | None:
    """Return the address of the client; None when the connection has none (a UNIX socket).

    `X-Forwarded-For` is believed as far as it was written by trusted proxies: from its right end, the first address
    that is not one of theirs. What stands left of it was written by the client.
    """
    peer = scope.get("client")
    if peer is None:
        return None
    if not trusted:
        return read_address(peer[0])
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return _behind_proxies(peer[0], _right_end(b",".join(forwarded)), trusted)


def address_text(scope: HTTPScope, trusted: Networks) -> str | None:
    """Return the address of the client as it is written down; None when the connection has none."""
    peer = scope.get("client")
    if peer is None:
        return None
    return _text_of(peer[0]) if not trusted else str(client_address(scope, trusted) or peer[0])


def counted_address(scope: HTTPScope, trusted: Networks) -> str:
    """Return the name under which a client's address is counted: itself, or the network of an IPv6 customer."""
    peer = scope.get("client")
    if peer is not None and not trusted:
        return _name_of_peer(peer[0])
    return _name_of(client_address(scope, trusted))


def is_within(address: Address | None, networks: Networks) -> bool:
    """Tell whether an address belongs to any of the networks."""
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def read_address(text: str) -> Address | None:
    """Return the address that a text is, an IPv4 one that is mapped into IPv6 as itself; None when it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def _text_of(peer: str) -> str:
    return str(read_address(peer) or peer)


def _right_end(forwarded: bytes) -> bytes:
    """Cut off what only a client can have written; a hop that the cut goes through says nothing any more."""
    if len(forwarded) <= _FORWARDED_READ_MAX:
        return forwarded
    return forwarded[-_FORWARDED_READ_MAX:].partition(b",")[2]


@lru_cache(maxsize=4096)
def _behind_proxies(peer: str, forwarded: bytes, trusted: Networks) -> Address | None:
    found = read_address(peer)
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        if not is_within(found, trusted):
            break
        address = read_address(hop) if hop.strip() else None
        if address is None:
            # What a proxy passed on without understanding it says nothing: the proxy is the last that is known.
            break
        found = address
    return found


@lru_cache(maxsize=4096)
def _name_of_peer(text: str) -> str:
    # Texts are looked up sooner than addresses, and this is asked for every request.
    return _name_of(read_address(text))


def _name_of(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_CUSTOMER_PREFIX), strict=False))
    return str(address)
