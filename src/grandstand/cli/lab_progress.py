"""How a command of the lab tells what it does: a bar with live numbers, or a line now and then where nobody looks."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from grandstand.cli.lab_options import in_ms
from grandstand.lab.run import Moment

_LINE_EVERY_SECONDS = 10.0


class Progress:
    """Tells of one run after the other, each of `seconds`. Use as a context manager."""

    def __init__(self, seconds: float) -> None:
        console = Console(stderr=True)
        self._is_seen = console.is_terminal
        self._bar = Bar(BarColumn(20), TextColumn("{task.description}"), TimeRemainingColumn(), console=console)
        self._task = self._bar.add_task("", total=seconds)
        self._prefix = ""
        self._line_at = time.monotonic()

    def __enter__(self) -> "Progress":
        if self._is_seen:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_seen:
            self._bar.stop()

    def begin(self, what: str, seconds: float) -> None:
        """Begin to tell of another run."""
        self._prefix = what + ": "
        self._bar.reset(self._task, total=seconds)

    def say(self, what: str) -> None:
        """Say what goes on."""
        if self._is_seen:
            self._bar.update(self._task, description=self._prefix + what)
        else:
            self._line(what)

    def tell(self, moment: Moment) -> None:
        """Say what came of a second."""
        text = (
            f"{moment.events_per_second:,.0f} events/s, {moment.reads_per_second:,.0f} reads/s; p99 in ms: "
            f"accept {in_ms(moment.accept_p99_ms)}, read {in_ms(moment.read_p99_ms)}, "
            f"visible {in_ms(moment.visible_p99_ms)}" + (f"; {moment.errors} errors" if moment.errors else "")
        )
        if self._is_seen:
            self._bar.update(self._task, completed=moment.at_seconds, description=self._prefix + text)
        elif time.monotonic() - self._line_at >= _LINE_EVERY_SECONDS:
            self._line_at = time.monotonic()
            self._line(f"{moment.at_seconds:.0f} s: {text}")

    def _line(self, text: str) -> None:
        sys.stderr.write(f"{self._prefix}{text}\n")
        sys.stderr.flush()
