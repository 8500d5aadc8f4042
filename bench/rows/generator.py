"""Row "generator ceiling": what the load generator itself can send and count, before any server does anything.

The responder is as simple as Python allows but needs a core of its own, so the figure is a lower bound.
"""

from bench.load import LoadOrder
from bench.measures import Row
from bench.raw_http import responding
from bench.suite import OK, Suite, raw_rate
from grandstand.lab.http_connection import request_of


async def measure(suite: Suite) -> list[Row]:
    """Measure the generator against a responder that does nothing."""
    plan = suite.plan
    request = request_of("POST", "/api/events", key=suite.deployment.server_key, body=b"x" * 230)
    rates = [
        await raw_rate(
            responding(),
            OK,
            lambda host, port: LoadOrder(host, port, plan.single_connections, (request,), plan.read_seconds),
        )
        for _ in range(plan.rounds)
    ]
    return [Row("generator", "generator ceiling: requests against a responder that does nothing", "requests/s", rates)]
