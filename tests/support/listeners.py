"""A client of live boards on plain sockets: light enough for thousands of listeners in one process.

Run as a program it holds many listeners open: `python -m tests.support.listeners URL COUNT`. It prints `listening` once
each has its first update, and for every line `MARK` on standard input one JSON object once all have had an update that
holds the mark: how many, and when (Unix time) the last of them had it.
"""

import asyncio
import json
import resource
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class Update:
    id: str
    data: dict[str, Any]
    received_at: float


@dataclass
class LiveClient:
    """One listener. `async with` opens and closes it."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    answer: dict[str, str] = field(default_factory=dict)

    async def __aenter__(self) -> Self:
        parts = urlsplit(self.url)
        self._reader, self._writer = await asyncio.open_connection(parts.hostname, parts.port, limit=2**24)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in self.headers.items())]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.status = int(head[0].split()[1])
        self.answer = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def blocks(self) -> AsyncIterator[str]:
        """What the server sends, piece by piece, to its end."""
        text = ""
        while size := int(await self._reader.readline() or b"0", 16):
            text += (await self._reader.readexactly(size + 2))[:-2].decode()
            *whole, text = text.split("\n\n")
            for block in whole:
                yield block

    async def updates(self) -> AsyncIterator[Update]:
        async for block in self.blocks():
            fields = dict(line.split(": ", 1) for line in block.split("\n") if not line.startswith(":"))
            if fields.get("event") == "update":
                yield Update(fields["id"], json.loads(fields["data"]), time.time())


@dataclass
class _Crowd:
    count: int
    first: int = 0
    marks: dict[str, list[float]] = field(default_factory=dict)

    async def listen(self, url: str, gate: asyncio.Semaphore) -> None:
        async with gate:
            client = await LiveClient(url).__aenter__()
        seen: set[str] = set()
        is_first = True
        async for block in client.blocks():
            if not block.startswith("event"):
                continue
            if is_first:
                is_first = False
                self.first += 1
                if self.first == self.count:
                    print("listening", flush=True)
            now = time.time()
            for mark in self.marks:
                if mark not in seen and mark in block:
                    seen.add(mark)
                    self.marks[mark].append(now)
                    if len(self.marks[mark]) == self.count:
                        print(json.dumps({"count": self.count, "last_at": now}), flush=True)


async def _main(url: str, count: int) -> None:
    crowd = _Crowd(count)
    gate = asyncio.Semaphore(100)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()

    def read_mark() -> None:
        line = sys.stdin.readline()
        if line:
            crowd.marks[line.strip()] = []
        else:
            stop.set()

    loop.add_reader(sys.stdin, read_mark)
    tasks = [asyncio.create_task(crowd.listen(url, gate)) for _ in range(count)]
    await asyncio.wait([*tasks, asyncio.create_task(stop.wait())], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done():
            task.result()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384) if hard > 0 else 16_384, hard))
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
