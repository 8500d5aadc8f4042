"""A small coverage-guided fuzzer for places without atheris: mutates inputs and keeps those that reach new code.

Deterministic for a seed. New code is a line that follows another for the first time, in the modules of `grandstand`.
"""

import random
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from tests.fuzz.targets import Target

LENGTH_MAX = 4_096
TOKENS = (
    b'{"event_type":"game_ended","user_id":"ann","payload":{"score":1}}', b'"payload":', b'"events":[', b'"id":',
    b'"occurred_at":"2026-11-24T12:00:00Z"', b"null", b"NaN", b"1e999", b"-0.0", b"9007199254740993", b"\\u0000",
    b"\\ud800", b"\xff", b"\xef\xbb\xbf", b"[" * 70, b"]" * 70, b'{"a":' * 70, b'"', b"\\", b",", b":", b"{", b"}",
    b"\n",
)  # fmt: skip


class Fuzzer:
    """Mutates a corpus against one target."""

    def __init__(self, target: Target, corpus: Sequence[bytes], seed: int) -> None:
        self._target = target
        self._randomly = random.Random(seed)
        self._seen: set[tuple[str, int, int]] = set()
        self.corpus: list[bytes] = []
        self.found: list[bytes] = []
        """Inputs that reached new code."""

        for data in corpus or [b""]:
            self._reaches_new_code(data)
            self.corpus.append(data)

    def run(self, seconds: float, *, tries_min: int = 0) -> int:
        """Try mutations for a while, and so many at least; return how many.

        Whatever the target raises is raised with its input as a note.
        """
        ends_at, tries = time.monotonic() + seconds, 0
        while time.monotonic() < ends_at or tries < tries_min:
            tries += 1
            data = self._mutated()
            if self._reaches_new_code(data):
                self.corpus.append(data)
                self.found.append(data)
        return tries

    def _reaches_new_code(self, data: bytes) -> bool:
        before, last = len(self._seen), 0

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal last
            name = frame.f_code.co_filename
            if "grandstand" not in name:
                return None
            if event == "line":
                self._seen.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return trace

        outer = sys.gettrace()
        sys.settrace(trace)
        try:
            self._target(data)
        except BaseException as error:
            error.add_note(f"input: {data!r}")
            raise
        finally:
            sys.settrace(outer)
        return len(self._seen) > before

    def _mutated(self) -> bytes:
        randomly = self._randomly
        data = bytearray(randomly.choice(self.corpus))
        for _ in range(randomly.choice((1, 1, 2, 4, 8))):
            at = randomly.randint(0, len(data))
            until = min(len(data), at + randomly.choice((1, 1, 4, 32)))
            match randomly.randrange(6):
                case 0:
                    data[at:until] = b""
                case 1:
                    data[at:at] = randomly.choice(TOKENS)
                case 2:
                    data[at:until] = randomly.choice(TOKENS)
                case 3:
                    data[at:at] = data[at:until] * randomly.choice((1, 2, 80))
                case 4 if at < len(data):
                    data[at] ^= 1 << randomly.randrange(8)
                case _:
                    other = randomly.choice(self.corpus)
                    start = randomly.randint(0, len(other))
                    data[at:until] = other[start : start + randomly.choice((4, 64, 1_000))]
        return bytes(data[:LENGTH_MAX])
