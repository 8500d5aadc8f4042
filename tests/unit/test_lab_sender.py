"""What is sent when it is due is told once, with the answer or with status 0, and late answers are late."""

import errno
import select
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from grandstand.lab.agenda import Agenda
from grandstand.lab.sender import Sender
from tests.support.conversations import serve

REQUEST = b"GET / HTTP/1.1\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
DEADLINE_SECONDS = 10.0

Told = list[tuple[Any, int, bytes, float]]


@pytest.fixture(params=["epoll", "poll"])
def listener(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Where a server listens, on systems of both kinds."""
    if request.param == "poll":
        monkeypatch.delattr(select, "epoll", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def answer(connection: socket.socket, *pieces: bytes) -> None:
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += connection.recv(65_536)
    for piece in pieces:
        connection.sendall(piece)
        time.sleep(0.01)


def sender_to(listener: socket.socket, connections_max: int = 1) -> Sender:
    host, port = listener.getsockname()
    return Sender(host, port, connections_max)


def send(sender: Sender, told: Told, what: str, due_at: float | None = None) -> None:
    sender.send(what, REQUEST, due_at or time.monotonic(), lambda *answered: told.append(answered))


def take(sender: Sender) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while sender.under_way and time.monotonic() < deadline:
        sender.take_answers()
        time.sleep(0.001)


def test_answers_come_in_pieces_and_one_after_the_other(listener: socket.socket) -> None:
    told: Told = []

    def converse(connection: socket.socket) -> None:
        answer(connection, ANSWER[:10], ANSWER[10:40], ANSWER[40:])
        answer(connection, ANSWER)

    thread = serve(listener, converse)
    with sender_to(listener) as sender:
        due_at = time.monotonic()
        send(sender, told, "first", due_at)
        send(sender, told, "second", due_at)
        take(sender)
        thread.join(DEADLINE_SECONDS)
    assert [each[:3] for each in told] == [("first", 200, b"hello"), ("second", 200, b"hello")]
    # The second waited for the connection, and that counts.
    assert told[1][3] > told[0][3] > 0.02


def answer_and_stay(connection: socket.socket, said: bytes) -> None:
    """What is not the whole of an answer ends with the connection; what is none is to be noticed without that."""
    answer(connection, said)
    if said and not ANSWER.startswith(said):
        connection.recv(65_536)


@pytest.mark.parametrize(
    "said",
    [
        b"", ANSWER[:-1], b"nonsense\r\n\r\n", ANSWER + ANSWER, ANSWER.replace(b"200", b"2x0"),
        ANSWER.replace(b"HTTP/1.1", b"SSH-2.0-"), ANSWER.replace(b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    ],
)  # fmt: skip
def test_a_connection_that_fails_is_replaced(listener: socket.socket, said: bytes) -> None:
    told: Told = []
    thread = serve(listener, partial(answer_and_stay, said=said), lambda connection: answer(connection, ANSWER))
    with sender_to(listener) as sender:
        send(sender, told, "first")
        take(sender)
        sender.take_answers()
        send(sender, told, "second")
        take(sender)
        thread.join(DEADLINE_SECONDS)
    assert [each[:2] for each in told] == [("first", 0), ("second", 200)]


def test_who_waits_for_a_connection_that_fails_gets_another(listener: socket.socket) -> None:
    told: Told = []
    thread = serve(
        listener,
        lambda connection: answer(connection, b""),
        lambda connection: answer(connection, ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
        lambda connection: answer(connection, ANSWER),
    )
    with sender_to(listener) as sender:
        for what in ("first", "second", "third"):
            send(sender, told, what)
        take(sender)
        thread.join(DEADLINE_SECONDS)
    assert [each[:2] for each in told] == [("first", 0), ("second", 200), ("third", 200)]


def test_an_answer_before_the_request_is_sent_is_the_connections_last(listener: socket.socket) -> None:
    told: Told = []
    has_been_told = threading.Event()

    def tell(*answered: Any) -> None:
        told.append(answered)
        has_been_told.set()

    def refuse(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(ANSWER.replace(b"200", b"413"))
        # Whoever reads on at once may have taken the whole of the request before its answer is seen.
        assert has_been_told.wait(DEADLINE_SECONDS)
        while connection.recv(65_536):
            pass

    thread = serve(listener, refuse, lambda connection: answer(connection, ANSWER))
    with sender_to(listener) as sender:
        big = b"x" * 50_000_000
        sender.send("first", big, time.monotonic(), tell)
        send(sender, told, "second")
        take(sender)
        thread.join(DEADLINE_SECONDS)
    assert [each[:2] for each in told] == [("first", 413), ("second", 200)]


def test_no_file_left_to_open_is_no_answer(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    told: Told = []

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with sender_to(listener) as sender, monkeypatch.context() as full:
        full.setattr(socket, "socket", refuse)
        send(sender, told, "first")
        take(sender)
    assert [each[:2] for each in told] == [("first", 0)]


def test_nobody_there_is_no_answer(listener: socket.socket) -> None:
    told: Told = []
    # Bound, so that nobody else gets the port meanwhile, and not listening.
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with sender_to(nobody) as sender:
            for _ in range(3):
                send(sender, told, "one")
            take(sender)
    assert [each[:2] for each in told] == [("one", 0)] * 3


def test_who_gets_no_answer_in_the_end_is_told_and_what_was_not_sent_is_forgotten(listener: socket.socket) -> None:
    told: Told = []
    with sender_to(listener) as sender:
        send(sender, told, "first")
        send(sender, told, "second")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not sender.requests and time.monotonic() < deadline:
            sender.take_answers()
        assert sender.waited_seconds > 0
        assert sender.end() == 1
    assert [each[:2] for each in told] == [("first", 0)]


def test_an_agenda_gives_what_is_due_in_order_and_no_more_than_is_asked_for() -> None:
    start = time.monotonic()  # before the agenda's first slot, which a millisecond may part from this line
    agenda: Agenda[str] = Agenda()
    now = start + 30  # far enough for the agenda to begin before it, whatever else the machine does
    for later_seconds in (0.5, 0.0004, 0.0001, 0.25, 3.0):
        agenda.add(now + later_seconds, str(later_seconds))
    agenda.add(now - 100, "long ago")
    assert agenda.take(start, 10) == []
    assert [what for _, what in agenda.take(now + 1, 3)] == ["long ago", "0.0001", "0.0004"]
    assert [what for _, what in agenda.take(now + 1, 3)] == ["0.25", "0.5"]
    assert agenda.take(now + 1, 3) == []
    assert agenda
    assert [what for _, what in agenda.take(now + 4, 3)] == ["3.0"]
    assert not agenda
