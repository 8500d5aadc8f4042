"""What the auditor can find, and where findings are gathered."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["lost", "doubled", "wrong_rank", "wrong_prize", "wrong_reply", "not_healed", "not_verified"]
"""lost: acknowledged, and not there · doubled: counted or stored twice · wrong_rank: a board or a page that is not what
the events come to · wrong_prize: standings, prizes or claims that are not what they must be, or twice · wrong_reply: a
status, count or rejection that the contract does not allow at that moment · not_healed: not well, or not all is
processed, within the bound · not_verified: `grandstand verify` finds something."""

KINDS: tuple[Kind, ...] = get_args(Kind)
_SHOWN_MAX = 20


@dataclass(frozen=True)
class Finding:
    """One thing that must not be."""

    kind: Kind
    detail: str


@dataclass
class Findings:
    """Everything found; all are counted and the first of each kind are kept."""

    counts: Counter[Kind] = field(default_factory=Counter)
    first: list[Finding] = field(default_factory=list)

    def add(self, kind: Kind, detail: str) -> None:
        """Note a finding."""
        self.counts[kind] += 1
        if self.counts[kind] <= _SHOWN_MAX:
            self.first.append(Finding(kind, detail))

    def __bool__(self) -> bool:
        return bool(self.counts)
