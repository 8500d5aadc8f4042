"""What a tree takes at most of the very traffic that the long soak sends: of what its load is a share.

The requests are made beforehand and their replies judged afterwards, so that little but the server's work is on the
clock. Client and server still share the machine.
"""

import time

from soak.client import Client, Reply
from soak.inspection import Inspector
from soak.judge import Judge, Request
from soak.traffic import Traffic
from soak.workload import Workload, Write

_EVENTS = 20_000


class _JudgeLater:
    """Stands where a judge stands while the clock runs."""

    def __init__(self) -> None:
        self.replies: list[tuple[Request, Reply]] = []

    def about_to_send(self, request: Request) -> None:
        """Do nothing: the judge has heard of it already."""

    def replied(self, request: Request, reply: Reply) -> None:
        """Keep a reply."""
        self.replies.append((request, reply))

    def gave_up(self, request: Request, reply: Reply) -> None:
        """Its last reply is among those that are kept."""


async def measure(client: Client, inspector: Inspector, workload: Workload, judge: Judge) -> float:
    """Send so many events as fast as they are answered; return events a second until all are processed.

    `judge` judges every reply.
    """
    requests: list[Request] = []
    events = 0
    for request in workload.requests():
        requests.append(request)
        events += request.count_valid if isinstance(request, Write) and not request.is_too_large else 0
        if events >= _EVENTS:
            break
    for each in requests:
        judge.about_to_send(each)
    later = _JudgeLater()
    began_at = time.monotonic()
    await Traffic(client, later, float("inf")).run(requests)
    await inspector.is_drained()
    seconds = time.monotonic() - began_at
    for asked, reply in later.replies:
        judge.replied(asked, reply)
    return events / seconds
