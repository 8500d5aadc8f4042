"""What a run leaves: one JSON document, and one HTML page that needs nothing else."""

from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import msgspec
import psutil

from grandstand import __version__
from grandstand.lab.arrivals import Profile
from grandstand.lab.calibration import Limit
from grandstand.lab.generator import READ_KINDS
from grandstand.lab.run import Run
from grandstand.lab.tally import Tally, percentile_ms
from grandstand.lab.verdict import Figures, growth, judge
from grandstand.lab.vitals import ENGINES, GENERATOR, Sample

MACHINE = "machine"
_SETTLED_SHARE = 0.2
"""Share of the samples at the beginning that count as warming up."""

_LAST_SAMPLES = 3


def figures_of(run: Run, samples: list[Sample], profile: Profile, *, is_here: bool) -> Figures:
    """Return what a run is judged by; `is_here` says whether the server has this machine's processors."""
    tally, audit, outcome = run.outcome.tally, run.audit, run.outcome
    settled = settled_of(samples)
    lags = [(sample.at_seconds, sample.lag_seconds) for sample in settled if sample.lag_seconds is not None]
    last = [sample.lag_seconds for sample in settled[-_LAST_SAMPLES:] if sample.lag_seconds is not None]
    shares = used_shares(settled, is_here=is_here)
    return Figures(
        accept_p99_ms=tally.p_ms("accept", 99),
        visible_p99_ms=tally.p_ms("visible", 99),
        read_p99_ms=percentile_ms(tally.merged(READ_KINDS), 99),
        errors=audit.errors,
        unsent=outcome.unsent,
        # The load of the other profiles is not the same all the time, and then the lag need not be.
        lag_growth=growth(lags) if profile in ("steady", "peak") else 0.0,
        # The rest of a run's last seconds: a lag that was there and went away is no backlog.
        # Of a server that tells none any more, what it told before says nothing.
        lag_seconds=min(last, default=None),
        late_p99_ms=tally.p_ms("late", 99) or 0.0,
        is_clean=audit.is_clean,
        load_share=max(shares.values()) if shares and is_here else None,
    )


def build(
    run: Run,
    profile: Profile,
    seconds: float,
    samples: list[Sample],
    limit: Limit | None,
    figures: Figures,
    *,
    is_here: bool,
) -> dict[str, Any]:
    """Return the report of a run as JSON-able values. Latencies in milliseconds, memory in MB."""
    outcome, audit, tally = run.outcome, run.audit, run.outcome.tally
    settled = settled_of(samples)
    verdict, reasons = judge(figures)
    lags = [sample.lag_seconds for sample in settled if sample.lag_seconds is not None]
    shares = used_shares(settled, is_here=is_here)
    return {
        "verdict": verdict,
        "reasons": reasons,
        "events_per_second": round(outcome.events / max(0.001, outcome.seconds), 1),
        "reads_per_second": round(outcome.reads / max(0.001, outcome.seconds), 1),
        "accept_p99_ms": figures.accept_p99_ms,
        "visible_p99_ms": figures.visible_p99_ms,
        "read_p99_ms": figures.read_p99_ms,
        "errors": audit.errors,
        "lost": audit.lost,
        "doubled": audit.doubled,
        "wrong": audit.wrong,
        "findings": audit.findings,
        "load_share": None if figures.load_share is None else round(figures.load_share, 3),
        "scarcest": max(shares, key=lambda name: shares[name]) if shares and is_here else None,
        "used_shares": shares,
        "lag_seconds": {
            "worst": max(lags, default=None), "at_the_end": figures.lag_seconds,
            "growth_a_second": round(figures.lag_growth, 4),
        },
        "latencies_ms": _latencies(tally),
        "generator": {
            "late_p99_ms": figures.late_p99_ms,
            "late_worst_ms": tally.p_ms("late", 100) or 0.0,
            "cpu_us_each": round(outcome.generator_cpu_seconds / max(1, outcome.requests) * 1e6, 1),
            "limit": None if limit is None else msgspec.to_builtins(limit),
        },
        "load": {
            "daily_players": run.model.daily_players,
            "profile": profile,
            "seconds": seconds,
            "seed": run.seed,
            "events": outcome.events,
            "reads": outcome.reads,
            "requests": outcome.requests,
            "unsent": outcome.unsent,
            "unanswered": outcome.unanswered,
            "followed": tally.count("visible"),
            "audited_events": audit.acknowledged.total,
            "statuses": dict(sorted(audit.statuses.items())),
        },
        "server": {
            "is_here": is_here,
            "cores": means(sample.cores for sample in settled),
            "busiest": means(sample.busiest for sample in settled),
            "rss_mb": _most(sample.rss_mb for sample in samples),
            "pss_mb": _most(sample.pss_mb for sample in samples),
            "ours_rss_mb": max((_ours(sample.rss_mb) for sample in samples), default=0.0),
            "pools": _pools(samples),
        },
        "machine": machine_now() | {
            "busy_share": round(sum(s.machine_share for s in settled) / len(settled), 3) if settled else None,
        },
        "version": __version__,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "each_second": msgspec.to_builtins(outcome.moments),
        "samples": [_flat(sample) for sample in samples],
    }  # fmt: skip


def render(report: dict[str, Any]) -> str:
    """Return the page of a report."""
    from grandstand.lab.charts import line_chart

    moments, samples = report["each_second"], report["samples"]
    kinds = sorted(report["server"]["cores"])
    charts = {
        "Events and reads a second": line_chart(moments, "at_seconds", "events_per_second", "reads_per_second"),
        "p99 of each second, in ms": line_chart(
            moments, "at_seconds", "accept_p99_ms", "read_p99_ms", "visible_p99_ms", "late_p99_ms"
        ),
        "Events waiting": line_chart(samples, "at_seconds", "depth"),
        "Lag in seconds": line_chart(samples, "at_seconds", "lag_seconds"),
        "Callers that wait for a connection to PostgreSQL": line_chart(samples, "at_seconds", "pool_waiting"),
        "Share of the machine's processors": line_chart(samples, "at_seconds", "machine_share"),
        "Cores by kind of process": line_chart([sample["cores"] | sample for sample in samples], "at_seconds", *kinds),
        "Memory by kind of process, RSS in MB": line_chart(
            [sample["rss_mb"] | sample for sample in samples if sample["rss_mb"]], "at_seconds", *kinds
        ),
    }
    return page("report.html", report=report, charts=charts)


def page(template: str, package: str = __package__, **values: Any) -> str:
    """Return a page from a template of a package, which may include one of the lab's."""
    # Only a page that is asked for needs it.
    import jinja2

    def text_of(name: str) -> str:
        own = files(package) / name
        return (own if own.is_file() else files(__package__) / name).read_text(encoding="utf-8")

    loader = jinja2.FunctionLoader(text_of)
    environment = jinja2.Environment(
        autoescape=True, loader=loader, finalize=lambda value: "" if value is None else value
    )
    return environment.get_template(template).render(**values)


def settled_of(samples: list[Sample]) -> list[Sample]:
    """Return the samples without those of warming up."""
    return samples[int(len(samples) * _SETTLED_SHARE) :]


def used_shares(samples: list[Sample], *, is_here: bool) -> dict[str, float]:
    """Return the used share of each: of the machine's processors, and of one core by the busiest process of a kind.

    A server on another machine has other processors, of which nothing is known.
    """
    if not samples:
        return {}
    shares = {MACHINE: sum(sample.machine_share for sample in samples) / len(samples)} if is_here else {}
    shares |= means(sample.busiest for sample in samples)
    return {name: round(share, 3) for name, share in shares.items()}


def means(each: Iterable[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each name, without what is nearly nothing."""
    rows = list(each)
    names = sorted({name for cores in rows for name in cores})
    found = {name: round(sum(cores.get(name, 0.0) for cores in rows) / len(rows), 3) for name in names}
    return {name: cores for name, cores in found.items() if cores >= 0.01}


def machine_now() -> dict[str, Any]:
    """Return what the machine is."""
    return {"cores": psutil.cpu_count() or 1, "memory_gb": round(psutil.virtual_memory().total / 2**30, 1)}


def _latencies(tally: Tally) -> dict[str, dict[str, float]]:
    found = {f"read_{name}" if name in READ_KINDS else name: each for name, each in tally.histograms.items()}
    if (reads := tally.merged(READ_KINDS)) is not None:
        found["read"] = reads
    return {name: _percentiles(found[name]) for name in sorted(found) if found[name].get_total_count()}


def _percentiles(found: Any) -> dict[str, float]:
    shares = {"p50": 50, "p90": 90, "p99": 99, "p99_9": 99.9}
    values = {key: round(float(found.get_value_at_percentile(share)) / 1000, 2) for key, share in shares.items()}
    return values | {"worst": round(float(found.get_max_value()) / 1000, 2), "count": int(found.get_total_count())}


def _most(each: Iterable[dict[str, float]]) -> dict[str, float]:
    most: dict[str, float] = {}
    for row in each:
        for name, megabytes in row.items():
            most[name] = max(megabytes, most.get(name, 0.0))
    return most


def _ours(memory_mb: dict[str, float]) -> float:
    return round(sum(mb for name, mb in memory_mb.items() if name not in (*ENGINES, GENERATOR)), 1)


def _pools(samples: list[Sample]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for sample in samples:
        for name, pool in sample.pools.items():
            before = found.setdefault(name, {"in_use_most": 0, "waiting_most": 0, "max": pool.max})
            before["in_use_most"] = max(before["in_use_most"], pool.total - pool.idle)
            before["waiting_most"] = max(before["waiting_most"], pool.waiting)
    return found


def _flat(sample: Sample) -> dict[str, Any]:
    waiting = sum(pool.waiting for pool in sample.pools.values()) if sample.pools else None
    return {**msgspec.to_builtins(sample), "pool_waiting": waiting}
