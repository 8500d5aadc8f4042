"""Takes NDJSON of any length: cuts lines, hands them on in bundles, and keeps account of what became of them.

Memory stays bounded by one bundle and one line. While a bundle is being written nothing is read, so a fast client
waits for the stream, and for the workers to make room in it when it is full. Other requests get their turn at every
piece and every thousand lines, whatever these hold: a few megabytes of gzip may stand for a hundred million blank
lines.
"""

import asyncio
import codecs
import time
from collections.abc import AsyncIterator

import msgspec

from grandstand.domain.errors import StreamFullError, UnavailableError
from grandstand.operations.accept_events import EventIntake, Receipt

BUNDLE_LINES_MAX = 1000
BUNDLE_BYTES_MAX = 1_048_576
REJECTED_SHOWN_MAX = 1000
FULL_WAIT_SECONDS = 10.0
"""How long a bundle waits for room in the stream; less than clients and proxies wait for an answer."""

_FULL_POLL_SECONDS = 0.25


class RejectedLine(msgspec.Struct):
    """Why one line was not taken; `line` counts from 1."""

    line: int
    code: str
    message: str


class ImportReport(msgspec.Struct):
    """What became of an import: `lines` read, blank ones included. Of many rejected lines the first 1,000 are named."""

    lines: int = 0
    accepted: int = 0
    rejected_count: int = 0
    rejected: list[RejectedLine] = msgspec.field(default_factory=list)


async def import_lines(pieces: AsyncIterator[bytes], intake: EventIntake, *, line_bytes_max: int) -> ImportReport:
    """Take every event of the stream.

    Raises:
        UnavailableError: the event stream is out of reach, or stays full for too long. The error's `lines` says how
            many lines are done: an import may go on after them, or begin anew, for events with ids count once.
        MalformedError, RequestTimeoutError, ClientGoneError: the body broke off; the lines before are done.
    """
    importer = _Importer(intake, line_bytes_max)
    async for piece in pieces:
        await importer.feed(piece)
        await asyncio.sleep(0)
    await importer.finish()
    return importer.report


class _Importer:
    def __init__(self, intake: EventIntake, line_bytes_max: int) -> None:
        self.report = ImportReport()
        self._intake = intake
        self._line_bytes_max = line_bytes_max
        self._begun = b""
        self._is_skipping = False
        self._bundle: list[bytes] = []
        self._numbers: list[int] = []
        self._bundle_bytes = 0
        self._line = 0

    async def feed(self, piece: bytes) -> None:
        *ended, self._begun = (self._begun + piece).split(b"\n")
        for line in ended:
            await self._take(line)
        if len(self._begun) > self._line_bytes_max:
            # The rest of this line is dropped as it comes; its end closes the account.
            self._is_skipping = True
            self._begun = b""

    async def finish(self) -> None:
        if self._begun or self._is_skipping:
            await self._take(self._begun)
        await self._write()
        self.report.lines = self._line

    async def _take(self, line: bytes) -> None:
        self._line += 1
        if self._line == 1:
            # Some editors and spreadsheets put it there.
            line = line.removeprefix(codecs.BOM_UTF8)
        if self._line % BUNDLE_LINES_MAX == 0:
            await asyncio.sleep(0)
        if self._is_skipping or len(line) > self._line_bytes_max:
            self._is_skipping = False
            # The lines before it first: a report names lines in their order, and never one beyond a failed write.
            await self._write()
            self._reject(self._line, "line_too_long", f"A line may have {self._line_bytes_max} bytes.")
            return
        line = line.strip(b" \t\r")
        if not line:
            return
        self._bundle.append(line)
        self._numbers.append(self._line)
        self._bundle_bytes += len(line)
        if len(self._bundle) >= BUNDLE_LINES_MAX or self._bundle_bytes >= BUNDLE_BYTES_MAX:
            await self._write()

    async def _write(self) -> None:
        if not self._bundle:
            return
        try:
            receipt = await self._accept()
        except UnavailableError as error:
            self.report.lines = self._numbers[0] - 1
            error.extra |= msgspec.to_builtins(self.report)
            raise
        self.report.accepted += receipt.accepted
        for rejection in receipt.rejected:
            self._reject(self._numbers[rejection.index], rejection.code, rejection.message)
        self._bundle, self._numbers, self._bundle_bytes = [], [], 0

    async def _accept(self) -> Receipt:
        deadline = time.monotonic() + FULL_WAIT_SECONDS
        while True:
            try:
                return await self._intake.accept_lines(self._bundle)
            except StreamFullError:
                # Nothing of it was taken, so this repeats nothing.
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_FULL_POLL_SECONDS)

    def _reject(self, line: int, code: str, message: str) -> None:
        self.report.rejected_count += 1
        if len(self.report.rejected) < REJECTED_SHOWN_MAX:
            self.report.rejected.append(RejectedLine(line, code, message))
