"""Reads single series back: of all processes that share the metrics' folder, or of this one."""

import os
from collections.abc import Iterable
from glob import glob
from pathlib import Path
from typing import Literal

from prometheus_client import multiprocess
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from grandstand.telemetry.metrics import MULTIPROCESS_VARIABLE

FileKind = Literal["histogram", "gauge_mostrecent", "counter"]


def read_series(metric: MetricWrapperBase, kind: FileKind) -> list[Sample]:
    """Return the samples of one metric. Of the shared files only those of its kind are read: some milliseconds."""
    families: Iterable[object]
    if MULTIPROCESS_VARIABLE in os.environ:
        folder = Path(os.environ[MULTIPROCESS_VARIABLE])
        files = glob(str(folder / f"{kind}_*.db"))
        families = multiprocess.MultiProcessCollector.merge(files, accumulate=True)  # type: ignore[no-untyped-call]
    else:
        families = metric.collect()
    name = next(iter(metric.describe())).name
    return [sample for family in families if getattr(family, "name", "") == name for sample in family.samples]  # type: ignore[attr-defined]
