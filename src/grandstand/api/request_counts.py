"""Counts requests by route and status; the labelled series are looked up once and kept, which makes counting cheap."""

from prometheus_client import Counter, Histogram

from grandstand.telemetry.metrics import HTTP_REQUEST_SECONDS, HTTP_REQUESTS


class RequestCounts:
    """The series of one process. Routes are templates and statuses are few, so their number is bounded."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        series = self._series.get((route, status))
        if series is None:
            series = HTTP_REQUESTS.labels(route, str(status)), HTTP_REQUEST_SECONDS.labels(route)
            self._series[route, status] = series
        counter, histogram = series
        counter.inc()
        histogram.observe(seconds)
