"""Where a request comes from: the peer's address, or what a trusted proxy says of it."""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from litestar.types import HTTPScope

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

_IPV6_CUSTOMER_PREFIX = 64
"""A provider gives each customer at least so much of IPv6: single addresses are too many to count."""

_FORWARDED_READ_MAX = 1024
"""Bytes from the right end of `X-Forwarded-For` that are read, and remembered: more than a score of proxies write."""

_CLIENTS_MAX = 8192
"""Clients that are remembered."""

_SETTINGS_MAX = 8
"""Lists of trusted proxies that are told apart; a process has one."""


class _Seen(NamedTuple):
    """What is known of whoever sent a request: the address, how it is written down, and under what it is counted."""

    address: Address | None
    text: str
    name: str


def client_address(scope: HTTPScope, trusted: Networks) -> Address | None:
    """Return the address of the client; None when the connection has none (a UNIX socket).

    `X-Forwarded-For` is believed as far as it was written by trusted proxies: from its right end, the first address
    that is not one of theirs. What stands left of it was written by the client.
    """
    seen = _see(scope, trusted)
    return None if seen is None else seen.address


def address_text(scope: HTTPScope, trusted: Networks) -> str | None:
    """Return the address of the client as it is written down; None when the connection has none."""
    seen = _see(scope, trusted)
    return None if seen is None else seen.text


def counted_address(scope: HTTPScope, trusted: Networks) -> str:
    """Return the name under which a client's address is counted: itself, or the network of an IPv6 customer."""
    seen = _see(scope, trusted)
    return _name_of(None) if seen is None else seen.name


def naming_peers(trusted: Networks) -> Callable[[str, bytes], str]:
    """Return what names a client as `counted_address` does, by a peer's address and its one `X-Forwarded-For`."""
    see = _seeing(trusted)
    if not trusted:
        return lambda peer, _: see(peer, b"").name

    def name(peer: str, forwarded: bytes) -> str:
        return see(peer, forwarded if len(forwarded) <= _FORWARDED_READ_MAX else _right_end(forwarded)).name

    return name


def is_within(address: Address | None, networks: Networks) -> bool:
    """Tell whether an address belongs to any of the networks."""
    return address is not None and any(address in network for network in networks)


@lru_cache(maxsize=4096)
def read_address(text: str) -> Address | None:
    """Return the address that a text is, an IPv4 one that is mapped into IPv6 as itself; None when it is none."""
    text = text.strip()
    if text.startswith("["):
        text, closing, _ = text[1:].partition("]")
        if not closing:
            return None
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _see(scope: HTTPScope, trusted: Networks) -> _Seen | None:
    peer = scope.get("client")
    if peer is None:
        return None
    if not trusted:
        return _seeing(trusted)(peer[0], b"")
    forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return _seeing(trusted)(peer[0], _right_end(b",".join(forwarded)))


def _seeing(trusted: Networks) -> Callable[[str, bytes], _Seen]:
    """Return the function that knows clients behind these proxies.

    It remembers them: this is asked for every request. One each, because to hash networks costs more than all else.
    """
    kept = _seeing_behind.get(id(trusted))
    if kept is None or kept[0] is not trusted:
        if len(_seeing_behind) >= _SETTINGS_MAX:
            _seeing_behind.clear()

        @lru_cache(maxsize=_CLIENTS_MAX)
        def see(peer: str, forwarded: bytes) -> _Seen:
            address = _behind_proxies(peer, forwarded, trusted)
            return _Seen(address, str(address or peer), _name_of(address))

        kept = _seeing_behind[id(trusted)] = trusted, see
    return kept[1]


_seeing_behind: dict[int, tuple[Networks, Callable[[str, bytes], _Seen]]] = {}


def _right_end(forwarded: bytes) -> bytes:
    """Cut off what only a client can have written; a hop that the cut goes through says nothing any more."""
    if len(forwarded) <= _FORWARDED_READ_MAX:
        return forwarded
    return forwarded[-_FORWARDED_READ_MAX:].partition(b",")[2]


def _behind_proxies(peer: str, forwarded: bytes, trusted: Networks) -> Address | None:
    found = read_address(peer)
    if not trusted:
        return found
    for hop in reversed(forwarded.decode("latin-1").split(",")):
        if not is_within(found, trusted):
            break
        address = read_address(hop) if hop.strip() else None
        if address is None:
            # What a proxy passed on without understanding it says nothing: the proxy is the last that is known.
            break
        found = address
    return found


def _name_of(address: Address | None) -> str:
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_CUSTOMER_PREFIX), strict=False))
    return str(address)
