"""Questions beside the load end: with an answer, also over another connection, or with a sentence."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from grandstand.lab.asker import Asker
from grandstand.lab.errors import LabError
from tests.support.conversations import Serve, serve

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + b'{"a":1}'


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as found:
        yield found


def answers(*pieces: bytes) -> Serve:
    """Answer so many requests, then close the connection."""

    def converse(connection: socket.socket) -> None:
        for piece in pieces:
            connection.recv(65_536)
            connection.sendall(piece)

    return converse


def ask(listener: socket.socket, *questions: tuple[str, str], answer_seconds: float = 5.0) -> list[tuple[int, bytes]]:
    async def run() -> list[tuple[int, bytes]]:
        async with Asker(*listener.getsockname(), "key", answer_seconds=answer_seconds) as asker:
            found = []
            for method, path in questions:
                found.append(await asker.ask(method, path))
                # The server may close the connection meanwhile.
                await asyncio.sleep(0.05)
            return found

    return asyncio.run(run())


def test_a_read_over_a_connection_that_was_closed_is_asked_again(listener: socket.socket) -> None:
    serve(listener, answers(ANSWER), answers(ANSWER))
    assert ask(listener, ("GET", "/"), ("GET", "/")) == [(200, b'{"a":1}')] * 2


def test_a_change_over_a_connection_that_was_closed_is_not_made_twice(listener: socket.socket) -> None:
    serve(listener, answers(ANSWER), answers(ANSWER))
    with pytest.raises(LabError, match="DELETE /b"):
        ask(listener, ("GET", "/"), ("DELETE", "/b"))


@pytest.mark.parametrize(
    "said", [b"", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ANSWER * 2]
)
def test_what_is_no_answer_is_said_in_a_sentence(listener: socket.socket, said: bytes) -> None:
    serve(listener, answers(said), answers(said))
    with pytest.raises(LabError, match="GET / was not answered"):
        ask(listener, ("GET", "/"))


def test_who_says_nothing_is_not_waited_for(listener: socket.socket) -> None:
    with pytest.raises(LabError, match="within 0 s"):
        ask(listener, ("GET", "/"), answer_seconds=0.1)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"a":"x"}', b"\xff"])
def test_what_another_server_says_is_no_answer(listener: socket.socket, body: bytes) -> None:
    serve(listener, answers(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)))

    async def get() -> Any:
        async with Asker(*listener.getsockname(), "key") as asker:
            return await asker.get("/", dict[str, int])

    with pytest.raises(LabError, match="as no Grandstand does"):
        asyncio.run(get())
