"""Connects to the receivers of webhooks, and to nobody else: each address is checked as it is connected to.

A name is resolved once for a connection, what it resolves to is checked, and those very addresses are connected to, so
that a name that points elsewhere a moment later (DNS rebinding) gains nothing. `Host` and the name in TLS stay those of
the URL. No proxy of the environment is used: it would resolve names for itself.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpcore

from grandstand.domain.webhook_urls import is_public

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, best first. Raises OSError when there are none."""

_RESOLVING_MAX = 8


class AddressRefusedError(Exception):
    """The host is, or resolves to, an address where webhooks must not go. It does not say which: that is nobody's."""


class SystemResolver:
    """Asks the system, for one host once at a time: a name server that does not answer costs a thread, not all."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_RESOLVING_MAX, thread_name_prefix="resolve")
        self._asked: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a host.

        Raises:
            OSError: it has none, or nobody could be asked.
        """
        asked = self._asked.get((host, port))
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._threads, _look_up, host, port)
            self._asked[host, port] = asked
            asked.add_done_callback(lambda _: self._asked.pop((host, port)))
            # Nobody may be left to hear of a failure.
            asked.add_done_callback(lambda done: done.cancelled() or done.exception())
        # Shielded: that one caller waits no longer is no reason to leave the others without an answer.
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Give up what nobody has begun to look up."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class AddressGuard:
    """Says where webhooks of a host may be sent."""

    def __init__(self, resolve: Resolver, *, allow_private: bool) -> None:
        self._resolve = resolve
        self.allow_private = allow_private

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """Resolve a host and return its addresses when webhooks may go to all of them.

        Raises:
            AddressRefusedError: they may not.
            OSError: the host does not resolve.
        """
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError("the host has no address")
        if not self.allow_private and not all(is_public(address) for address in addresses):
            raise AddressRefusedError("the host is or resolves to an address that is not public")
        return addresses


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """The network as httpcore sees it: names are resolved and checked here, connections go to the checked addresses."""

    def __init__(self, guard: AddressGuard, network: httpcore.AsyncNetworkBackend) -> None:
        self._guard = guard
        self._network = network

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of a host's addresses that answers.

        Raises:
            AddressRefusedError, OSError: as for `AddressGuard.addresses`.
            httpcore.ConnectError, httpcore.ConnectTimeout: none answers.
        """
        failure: Exception | None = None
        for address in await self._guard.addresses(host, port):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        assert failure is not None, "a host without addresses is an OSError"  # noqa: S101
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._network.sleep(seconds)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
