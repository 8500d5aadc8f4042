"""One child process of the tree: `python -m grandstand …` on a lifeline.

Standard input of a child is its lifeline, a pair of sockets whose other end only the supervisor holds. The child says
"loaded" once it has loaded its code, the line "go" lets it begin, and the end of the lifeline means that the supervisor
is gone.
"""

import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grandstand.embedded.priority import nice_prefix


@dataclass(frozen=True)
class ChildSpec:
    """What a child runs. `name` tells it apart in logs; `descriptors` are open files that it inherits.

    Who has a `niceness` (1 to 19) lets others go first where processors are short.
    """

    name: str
    arguments: tuple[str, ...]
    descriptors: tuple[int, ...] = ()
    niceness: int = 0


class Child:
    """A running child."""

    def __init__(
        self,
        spec: ChildSpec,
        process: asyncio.subprocess.Process,
        lifeline: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.spec = spec
        self._process = process
        self._heard, self._lifeline = lifeline

    @classmethod
    async def spawn(cls, spec: ChildSpec, environment: Mapping[str, str], *, stdout: int | None = None) -> "Child":
        """Start the child, in a session of its own: a terminal's Ctrl-C is the supervisor's business."""
        ours, theirs = socket.socketpair()
        lifeline = await asyncio.open_connection(sock=ours)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *nice_prefix(spec.niceness),
                    sys.executable,
                    *("-m", "grandstand", *spec.arguments),
                    stdin=theirs.fileno(),
                    stdout=stdout,
                    env=environment,
                    pass_fds=spec.descriptors,
                    start_new_session=True,
                )
        except BaseException:
            lifeline[1].transport.abort()
            raise
        return cls(spec, process, lifeline)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.returncode is None

    async def loaded(self) -> bool:
        """Wait until it has loaded its code; return False when it ended instead."""
        try:
            return bool(await self._heard.readline())
        except OSError:
            return False

    def go(self) -> None:
        """Let it begin."""
        self._lifeline.write(b"go\n")

    def send(self, number: signal.Signals) -> None:
        """Send a signal, when it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait(self) -> int:
        """Wait for its end; return the exit code, negative for a signal."""
        code = await self._process.wait()
        self._lifeline.transport.abort()
        return code

    async def output(self) -> bytes:
        """Read standard output (a pipe) to its end."""
        if self._process.stdout is None:
            return b""
        return await self._process.stdout.read()


async def end_children(children: Sequence[Child], timeout_seconds: float, hurry: asyncio.Event) -> list[str]:
    """End the children: SIGTERM, and SIGKILL for those still there after the timeout or when hurried.

    Returns:
        The names of those that had to be killed.

    """
    running = [child for child in children if child.is_running]
    for child in running:
        child.send(signal.SIGTERM)
    if not running:
        return []
    ended = asyncio.gather(*(child.wait() for child in running))
    hurried = asyncio.create_task(hurry.wait())
    first: list[asyncio.Future[Any]] = [ended, hurried]
    await asyncio.wait(first, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    hurried.cancel()
    slow = [child for child in running if child.is_running]
    for child in slow:
        child.send(signal.SIGKILL)
    await ended
    return [child.spec.name for child in slow]


def describe_exit(code: int) -> str:
    """Return an exit code in words."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
