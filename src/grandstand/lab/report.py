"""What a run leaves: one JSON document, and one HTML page that needs nothing else."""

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import msgspec
import psutil

from grandstand import __version__
from grandstand.lab.arrivals import Profile
from grandstand.lab.run import Outcome, Run
from grandstand.lab.verdict import Figures, judge
from grandstand.lab.vitals import Sample

_SETTLED_SHARE = 0.2
"""Share of the samples at the beginning that count as warming up."""


def build(run: Run, profile: Profile, seconds: float, samples: list[Sample]) -> dict[str, Any]:
    """Return the report of a run as JSON-able values. Latencies in milliseconds, memory in MB."""
    outcome, auditor = run.outcome, run.auditor
    settled = samples[int(len(samples) * _SETTLED_SHARE) :]
    lags = [sample.lag_seconds for sample in settled if sample.lag_seconds is not None]
    # The rest of a run's last seconds: a lag that was there and went away is no backlog.
    last_lag = max(lags[-3:], default=None)
    figures = Figures(
        accept_p99_ms=outcome.p_ms("accept", 99),
        visible_p99_ms=outcome.p_ms("visible", 99),
        read_p99_ms=outcome.p_ms("read", 99),
        errors=auditor.errors,
        lag_seconds=last_lag,
        is_clean=auditor.is_clean,
        load_share=_load_share(settled),
    )
    verdict, reasons = judge(figures)
    return {
        "verdict": verdict,
        "reasons": reasons,
        "events_per_second": round(outcome.events / max(0.001, outcome.seconds), 1),
        "reads_per_second": round(outcome.reads / max(0.001, outcome.seconds), 1),
        "accept_p99_ms": round(figures.accept_p99_ms, 2),
        "visible_p99_ms": round(figures.visible_p99_ms, 2),
        "read_p99_ms": round(figures.read_p99_ms, 2),
        "errors": auditor.errors,
        "lost": auditor.lost,
        "doubled": auditor.doubled,
        "wrong": auditor.wrong,
        "findings": auditor.findings,
        "load_share": None if figures.load_share is None else round(figures.load_share, 3),
        "lag_seconds": {"worst": max(lags, default=None), "at_the_end": last_lag},
        "latencies_ms": {name: _percentiles(outcome, name) for name in sorted(outcome.histograms)},
        "generator": {
            "late_p99_ms": round(outcome.late.get_value_at_percentile(99) / 1000, 2),
            "late_worst_ms": round(outcome.late.get_max_value() / 1000, 2),
        },
        "load": {
            "daily_players": run.traffic.model.daily_players,
            "profile": profile,
            "seconds": seconds,
            "seed": run.traffic.seed,
            "events": outcome.events,
            "reads": outcome.reads,
            "followed": int(outcome.histograms["visible"].get_total_count()) if "visible" in outcome.histograms else 0,
            "statuses": dict(auditor.statuses),
        },
        "server": {
            "cores": _means([sample.cores for sample in settled]),
            "memory_mb": next((sample.memory_mb for sample in reversed(samples) if sample.memory_mb), {}),
        },
        "machine": {
            "cores": psutil.cpu_count() or 1,
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "busy_share": round(sum(s.machine_share for s in settled) / len(settled), 3) if settled else None,
        },
        "version": __version__,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "each_second": outcome.each_second,
        "samples": msgspec.to_builtins(samples),
    }


def render(report: dict[str, Any]) -> str:
    """Return the page of a report."""
    # Only a page that is asked for needs them.
    import jinja2

    from grandstand.lab.charts import line_chart

    moments, samples = report["each_second"], report["samples"]
    charts = {
        "Events and reads a second": line_chart(moments, "at_seconds", "events_per_second", "reads_per_second"),
        "Latency so far, p99 in ms": line_chart(
            moments, "at_seconds", "accept_p99_ms", "read_p99_ms", "visible_p99_ms"
        ),
        "Events waiting": line_chart(samples, "at_seconds", "depth"),
        "Lag in seconds": line_chart(samples, "at_seconds", "lag_seconds"),
        "Share of the machine's processors": line_chart(samples, "at_seconds", "machine_share"),
    }
    template = (files(__package__) / "report.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True).from_string(template).render(report=report, charts=charts)


def _load_share(samples: list[Sample]) -> float | None:
    """Return how much of the scarcest resource was used: of all processors, or of one by the busiest single process."""
    if not samples:
        return None
    return sum(sample.machine_share for sample in samples) / len(samples)


def _percentiles(outcome: Outcome, name: str) -> dict[str, float]:
    found = outcome.histograms[name]
    shares = {"p50": 50, "p90": 90, "p99": 99, "p99_9": 99.9}
    values = {key: round(float(found.get_value_at_percentile(share)) / 1000, 2) for key, share in shares.items()}
    return values | {"worst": round(float(found.get_max_value()) / 1000, 2), "count": int(found.get_total_count())}


def _means(each: list[dict[str, float]]) -> dict[str, float]:
    names = sorted({name for cores in each for name in cores})
    means = {name: round(sum(cores.get(name, 0.0) for cores in each) / len(each), 2) for name in names}
    return {name: cores for name, cores in means.items() if cores >= 0.01}
