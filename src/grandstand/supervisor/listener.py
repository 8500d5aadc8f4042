"""The listening socket. The supervisor owns it and lends it to the HTTP children, so that a restart refuses nobody."""

import errno
import socket

from grandstand.supervisor.errors import ListenError

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the address; port 0 takes a free one. Who connects now waits to be served.

    Raises:
        ListenError: the address is taken, may not be used, or does not exist.

    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError):
        raise ListenError(f"The host {host} is not an address of this machine: choose another --host.") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` is every address, also those of version 4.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(_reason(error, host, port)) from None
    listener.setblocking(False)
    return listener


def url_of(listener: socket.socket, *, has_tls: bool = False) -> str:
    """Return the URL under which this machine reaches the socket."""
    scheme = "https" if has_tls else "http"
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _reason(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is taken by another program: stop it or choose another --port (0: a free one)."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be used by this user: choose a --port above 1023."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"The host {host} is not an address of this machine: choose another --host."
    return f"Port {port} on {host} cannot be listened on: {error.strerror or error}."
