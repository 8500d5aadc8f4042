"""What one look came to, in words for the person who runs the deployment."""

from typing import Literal

import msgspec

Status = Literal["ok", "warning", "failed"]
"""`failed`: a promise of Grandstand, or its start, is at stake. `warning`: it works, but not for long or not well."""


class Advice(msgspec.Struct):
    """One thing looked at. `do` says what helps; empty when nothing has to be done."""

    check: str
    status: Status
    finding: str
    do: str = ""


def judged(check: str, is_good: bool, finding: str, do: str, *, otherwise: Status = "failed") -> Advice:
    """Return advice that is `ok`, or else has a status and says what to do."""
    return Advice(check, "ok", finding) if is_good else Advice(check, otherwise, finding, do)
