"""The import itself: reads items, sends them in chunks, remembers how far it is, and counts what becomes of them."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from grandstand.importer.checkpoint import Checkpoint
from grandstand.importer.compression import DAMAGE
from grandstand.importer.csv_mapping import CsvMapping
from grandstand.importer.csv_rows import read_csv
from grandstand.importer.display import Display
from grandstand.importer.errors import SourceError
from grandstand.importer.event_ids import EventIds
from grandstand.importer.lines import Item
from grandstand.importer.ndjson import read_ndjson
from grandstand.importer.report import NOT_LISTED, Example, Report
from grandstand.importer.sender import Sender, TooLargeForServerError
from grandstand.importer.source import Source

CHUNK_LINES_MAX = 1_000
"""Lines of one request. The server lists up to so many refusals, so each of them is known by its reason."""

CHUNK_BYTES_MAX = 786_432
"""Bytes of one request, unless a single line has more: below the 1 MiB that proxies allow by default."""


@dataclass(frozen=True)
class ImportOptions:
    """How to import. `mapping` of None means NDJSON; `state_dir` of None means the platform's usual place."""

    mapping: CsvMapping | None = None
    restart: bool = False
    state_dir: Path | None = None


@dataclass
class _Chunk:
    items: list[Item] = field(default_factory=list)
    size_bytes: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.items) >= CHUNK_LINES_MAX

    def takes(self, item: Item) -> bool:
        return not self.items or self.size_bytes + len(item.event or b"") <= CHUNK_BYTES_MAX

    def add(self, item: Item) -> None:
        self.items.append(item)
        self.size_bytes += len(item.event or b"")


class Import:
    """One import of one source into one server."""

    def __init__(self, source: Source, sender: Sender, display: Display, options: ImportOptions) -> None:
        self._source = source
        self._sender = sender
        self._display = display
        self._options = options
        self._started = 0.0
        self._lines_before = 0
        self._done_bytes = 0
        self._checkpoint: Checkpoint | None = None
        self.report = Report()
        self.line = 0
        """Every line up to this one is dealt with."""

    @property
    def summary(self) -> str:
        """What has been done, as people read it."""
        seconds = time.monotonic() - self._started
        return self.report.text(self._source.name, self._sender.url, seconds, self.report.lines - self._lines_before)

    def run(self) -> None:
        """Import to the end, from where an earlier run has stopped.

        Raises:
            SourceError: the source cannot be read or is not what it should be.
            ServerError: the server stays out of reach or refuses; what was sent by then is remembered.
        """
        self._started = time.monotonic()
        source, options = self._source, self._options
        self._display.begin(f"Reading {source.name}", source.packed_bytes)
        content = source.examine(self._display.advance)
        ids = EventIds(content.digest, b"" if options.mapping is None else options.mapping.meaning())
        self._checkpoint = Checkpoint(options.state_dir, ids.seed, source.name, self._sender.url)
        self._resume()
        # The rate is that of sending; the look at the whole file before is short beside it.
        self._started = time.monotonic()
        self._display.begin(f"Importing {source.name}", content.size_bytes)
        with source.open_content() as reader:
            items = (
                read_ndjson(reader, ids, source.name)
                if options.mapping is None
                else read_csv(reader, options.mapping, ids, source.name)
            )
            try:
                for chunk in _chunks(self._fresh(items)):
                    self._deal_with(chunk)
            except (*DAMAGE, OSError) as error:
                raise SourceError(f"{source.name} was changed, or failed, while it was read: {error}.") from None
            finally:
                self._remember(at_once=True)
        if self._checkpoint is not None:
            self._checkpoint.clear()

    def _resume(self) -> None:
        if self._checkpoint is None:
            return
        if self._options.restart:
            self._checkpoint.clear()
            return
        known = self._checkpoint.load()
        if known is not None:
            self.line, self.report = known.line, known.report
            self._lines_before = known.report.lines
            self._display.say(
                f"Going on after line {known.line:,}, where an earlier import was stopped (--restart begins anew)."
            )

    def _fresh(self, items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            if item.line > self.line:
                yield item
            else:
                self._done_bytes += item.size_bytes

    def _deal_with(self, chunk: _Chunk) -> None:
        outcome = Report()
        for item in chunk.items:
            if item.refusal is not None:
                outcome.refuse(item.refusal.code, 1, [Example(item.line, item.refusal.message)])
        self._send([item for item in chunk.items if item.refusal is None], outcome)
        # Both at once: whatever stops the import in between, no line is counted twice.
        self.line, self.report = chunk.items[-1].line, self.report.plus(outcome)
        self._done_bytes += sum(item.size_bytes for item in chunk.items)
        self._remember()
        self._display.advance(self._done_bytes, self.report.lines - self._lines_before, self.report.refused)

    def _send(self, items: list[Item], outcome: Report) -> None:
        if not items:
            return
        try:
            answer = self._sender.send([item.event for item in items if item.event is not None])
        except TooLargeForServerError:
            if len(items) == 1:
                message = "The server, or a proxy before it, takes no line of this size."
                outcome.refuse("body_too_large", 1, [Example(items[0].line, message)])
                return
            half = len(items) // 2
            self._send(items[:half], outcome)
            self._send(items[half:], outcome)
            return
        outcome.taken += answer.accepted
        reasons: dict[str, list[Example]] = defaultdict(list)
        for rejected in answer.rejected:
            reasons[rejected.code].append(Example(items[rejected.line - 1].line, rejected.message))
        for code, examples in reasons.items():
            outcome.refuse(code, len(examples), examples)
        if answer.rejected_count > len(answer.rejected):
            outcome.refuse(NOT_LISTED, answer.rejected_count - len(answer.rejected), [])

    def _remember(self, *, at_once: bool = False) -> None:
        if self._checkpoint is None or not self.line:
            return
        if not self._checkpoint.save(self.line, self.report, at_once=at_once):
            self._display.say(
                f"The progress cannot be kept in {self._checkpoint.path}: a later run would begin at the first line."
            )
            self._checkpoint = None


def _chunks(items: Iterable[Item]) -> Iterator[_Chunk]:
    chunk = _Chunk()
    for item in items:
        if chunk.is_full or not chunk.takes(item):
            yield chunk
            chunk = _Chunk()
        chunk.add(item)
    if chunk.items:
        yield chunk
