"""Shows the course of an import: a bar on a terminal, a line every few seconds elsewhere; on standard error."""

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 5.0


class Display(Protocol):
    """What an import tells while it runs."""

    def begin(self, title: str, total_bytes: int) -> None:
        """Begin a stage that reads so many bytes."""

    def advance(self, done_bytes: int, lines: int = 0, refused: int = 0) -> None:
        """Say how far the stage is, and how many lines of this run are dealt with."""

    def say(self, sentence: str) -> None:
        """Tell something that should stay to be read."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""


def open_display() -> Display:
    """Return the display that fits standard error."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)
    return BarDisplay(console) if console.is_terminal and not console.is_dumb_terminal else LineDisplay(console)


class BarDisplay:
    """A bar that moves with the bytes of the source."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(binary_units=True),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._started = time.monotonic()

    def begin(self, title: str, total_bytes: int) -> None:
        """Begin a stage that reads so many bytes."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(title, total=total_bytes, rate="")
        self._started = time.monotonic()

    def advance(self, done_bytes: int, lines: int = 0, refused: int = 0) -> None:
        """Move the bar."""
        if self._task is None:
            return
        rate = _rate(lines, refused, time.monotonic() - self._started) if lines else ""
        self._progress.update(self._task, completed=done_bytes, rate=rate)

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self._progress.console.print(sentence)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()


class LineDisplay:
    """A line now and then, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._title = ""
        self._total_bytes = 0
        self._started = self._shown = time.monotonic()

    def begin(self, title: str, total_bytes: int) -> None:
        """Begin a stage that reads so many bytes."""
        self._title, self._total_bytes = title, total_bytes
        self._started = self._shown = time.monotonic()

    def advance(self, done_bytes: int, lines: int = 0, refused: int = 0) -> None:
        """Print where the stage is, when the last line is old enough."""
        now = time.monotonic()
        if now - self._shown < _LINE_SECONDS:
            return
        self._shown = now
        share = min(100.0, 100 * done_bytes / max(1, self._total_bytes))
        rate = ", " + _rate(lines, refused, now - self._started) if lines else ""
        self.say(f"{self._title}: {share:.0f} %{rate}")

    def say(self, sentence: str) -> None:
        """Print a sentence."""
        self._console.print(sentence)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to clean up."""


def _rate(lines: int, refused: int, seconds: float) -> str:
    text = f"{lines:,} lines, {lines / max(seconds, 0.001):,.0f}/s"
    return f"{text}, {refused:,} refused" if refused else text
