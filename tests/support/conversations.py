"""A server of a test's own words, on a plain socket."""

import socket
import threading
from collections.abc import Callable

Serve = Callable[[socket.socket], None]
"""What a server says over one connection."""


def serve(listener: socket.socket, *conversations: Serve) -> threading.Thread:
    """Hold one conversation after the other, each over the next connection, until nobody else can come."""

    def run() -> None:
        for converse in conversations:
            try:
                connection, _ = listener.accept()
            except OSError:
                # The test is over: in a thread that outlives it this would be the fault of any other test.
                return
            with connection:
                converse(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread
