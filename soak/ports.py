"""Ports of this machine that are one's own, whoever listens on them now and then."""

import socket
import sys
from typing import Self


class HeldPort:
    """A port of 127.0.0.1 that nobody takes by chance until it is let go.

    Between choosing a port and listening on it, or while who listens is started again, the kernel may give it to
    another socket: one that asks for any port, or a connection, which may even be one to the port itself. What Linux
    does not give away is a port that a socket is bound to. Who binds with SO_REUSEADDR, as servers do, may listen
    beside it. Other systems let nobody listen there: on these the port is chosen, and not held.
    """

    def __init__(self, number: int = 0) -> None:
        """Take the port, or any that is free.

        Raises:
            OSError: it is taken, or there is none of that number.
        """
        self._socket = socket.socket()
        try:
            # In this order: with it from the first, a port that somebody else holds in this way could be had, too.
            self._socket.bind(("127.0.0.1", number))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        except BaseException:
            self._socket.close()
            raise
        self.number: int = self._socket.getsockname()[1]
        if sys.platform != "linux":
            self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it go."""
        self._socket.close()
