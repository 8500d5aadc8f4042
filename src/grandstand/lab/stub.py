"""A raw server that answers as the product would and does nothing: what the generator is measured against.

`python -m grandstand.lab.stub` listens on a free loopback port, prints it, and ends with its standard input.
"""

import asyncio
import os
import re
import signal
import sys
from typing import cast

import msgspec
import uvloop

_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)")
_HEAD_END = b"\r\n\r\n"


def _answer(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def _page(count: int, last: str) -> bytes:
    users = [*(f"p{place}" for place in range(1, count)), last]
    entries = [
        {
            "rank": rank, "user_id": user, "display_name": None, "score": 10_000 - rank,
            "achieved_at": "2026-01-01T00:00:00Z",
        }
        for rank, user in enumerate(users, 1)
    ]  # fmt: skip
    return msgspec.json.encode({"total": count, "entries": entries, "next_cursor": None})


_TOP = _answer(b"200 OK", _page(100, "p100"))
_NEARBY = _page(11, "@")
_PRIZES = _answer(b"200 OK", b'{"prizes":[]}')


class _Stub(asyncio.Protocol):
    def __init__(self) -> None:
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._data + data
        head_end = data.find(_HEAD_END)
        length = _LENGTH.search(data, 0, head_end) if head_end >= 0 and data.startswith(b"POST") else None
        if head_end < 0 or len(data) < head_end + 4 + int(length[1] if length else 0):
            self._data = data
            return
        self._data = b""
        if length is not None:
            body = b'{"accepted":%d,"rejected":[]}' % data.count(b'"event_type"', head_end)
            self._transport.write(_answer(b"202 Accepted", body))
            return
        path = data[4 : data.index(b" ", 4)]
        _, _, user = path.partition(b"/users/")
        if path.startswith(b"/api/prizes"):
            self._transport.write(_PRIZES)
        elif not user:
            self._transport.write(_TOP)
        elif user.endswith(b"/nearby"):
            self._transport.write(_answer(b"200 OK", _NEARBY.replace(b"@", user.removesuffix(b"/nearby"))))
        else:
            body = b'{"rank":1,"user_id":"%b","score":9007199254740991,"total":1}' % user
            self._transport.write(_answer(b"200 OK", body))


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Stub, "127.0.0.1", 0)
    loop.add_reader(sys.stdin.fileno(), lambda: os._exit(0))
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    uvloop.run(_serve())
