"""What a generator process says of its requests in the end adds up."""

import socket
import threading
import time
from typing import Any

import pytest

from grandstand.lab import generator
from grandstand.lab.generator import Generator, Order
from grandstand.lab.sender import Sender

DEADLINE_SECONDS = 10.0


def test_what_was_never_sent_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "ANSWER_MAX_SECONDS", 0.1)
    monkeypatch.setattr(Generator, "_tell", lambda _: None)
    due = 0
    send = Sender.send

    def count(sender: Sender, *arguments: Any) -> None:
        nonlocal due
        due += 1
        send(sender, *arguments)
        # However long the connection takes: the first request is sent before the load ends.
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not sender.requests and time.monotonic() < deadline:
            sender.take_answers()

    monkeypatch.setattr(Sender, "send", count)
    # A server that takes the connection and never answers, and a load that ends before that is too long.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        order = Order(host, port, "key", "run", 100_000, "peak", 0.3, 1, 0, 1, 1, 30.0)
        ended = Generator(order).run(time.monotonic())
    assert due > 10
    assert (ended.requests, ended.unanswered, ended.unsent) == (1, 1, due - 1)
    assert ended.account.errors == 1


def test_the_rate_is_that_of_the_last_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Generator, "_tell", lambda _: None)
    # Nobody is left to look for a score with.
    monkeypatch.setattr(generator, "VISIBLE_MAX_SECONDS", 0.0)
    slow_seconds = 0.3

    def answer_late(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            request = connection.recv(65_536)
            time.sleep(slow_seconds)
            body = b'{"accepted":%d,"rejected":[]}' % request.count(b'"event_type"')
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            listener.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        threading.Thread(target=answer_late, args=(listener,), daemon=True).start()
        ended = Generator(Order(host, port, "key", "run", 100_000, "peak", 0.1, 1, 0, 1, 1, 30.0)).run(time.monotonic())
    assert sum(status == "events 202" for status in ended.account.statuses) == 1
    # Not the tenth of a second that the load lasted: nothing was taken in that.
    assert ended.seconds > slow_seconds / 2
