"""What an import has done so far: kept in the checkpoint and printed at the end."""

from collections.abc import Iterable

import msgspec

EXAMPLES_MAX = 3
NOT_LISTED = "not_listed"
"""Stands for refusals that the server counts but, being too many, does not list."""


class Example(msgspec.Struct):
    """One refused line and what is wrong with it."""

    line: int
    message: str


class Refused(msgspec.Struct):
    """The lines that were refused for one reason."""

    count: int = 0
    examples: list[Example] = msgspec.field(default_factory=list)


class Report(msgspec.Struct):
    """Counts of lines, those of an interrupted run before included. `refusals` is keyed by code."""

    taken: int = 0
    refused: int = 0
    refusals: dict[str, Refused] = msgspec.field(default_factory=dict)

    @property
    def lines(self) -> int:
        """Lines that have been dealt with."""
        return self.taken + self.refused

    def refuse(self, code: str, count: int, examples: Iterable[Example]) -> None:
        """Count refused lines of one reason and keep the first examples."""
        self.refused += count
        reason = self.refusals.setdefault(code, Refused())
        reason.count += count
        reason.examples.extend(list(examples)[: EXAMPLES_MAX - len(reason.examples)])

    def plus(self, other: "Report") -> "Report":
        """Return what both have done together; neither changes."""
        both = Report(taken=self.taken + other.taken)
        for report in (self, other):
            for code, reason in report.refusals.items():
                both.refuse(code, reason.count, reason.examples)
        return both

    def text(self, source: str, url: str, seconds: float, lines_this_run: int) -> str:
        """Return the summary as people read it; `seconds` and `lines_this_run` give the rate."""
        rate = f" ({lines_this_run / seconds:,.0f} lines a second)" if seconds >= 0.1 else ""
        rows = [
            f"{source} → {url}",
            f"  lines    {self.lines:,}",
            f"  taken    {self.taken:,}",
            f"  refused  {self.refused:,}",
            f"  time     {seconds:,.1f} s{rate}",
        ]
        for code, reason in sorted(self.refusals.items(), key=lambda item: (-item[1].count, item[0])):
            rows += ["", f"  {reason.count:,} refused as {code}"]
            rows += [f"    line {example.line:,}: {example.message}" for example in reason.examples]
        return "\n".join(rows)
