"""What a generator process says of its requests in the end adds up."""

import socket
import time
from typing import Any

import pytest

from grandstand.lab import generator
from grandstand.lab.generator import Generator, Order
from grandstand.lab.sender import Sender


def test_what_was_never_sent_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "ANSWER_MAX_SECONDS", 0.1)
    monkeypatch.setattr(Generator, "_tell", lambda _: None)
    due = 0
    send = Sender.send

    def count(*arguments: Any) -> None:
        nonlocal due
        due += 1
        send(*arguments)

    monkeypatch.setattr(Sender, "send", count)
    # A server that takes the connection and never answers, and a load that ends before that is too long.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        order = Order(host, port, "key", "run", 100_000, "peak", 0.3, 1, 0, 1, 1, 30.0)
        ended = Generator(order).run(time.monotonic())
    assert due > 10
    assert (ended.requests, ended.unanswered, ended.unsent) == (1, 1, due - 1)
    assert ended.account.errors == 1
