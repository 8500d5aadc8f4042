"""The machine: open files, time zones, room on the disk."""

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from grandstand.diagnosis.advice import Advice, judged

FILES_MIN = 4_096
"""Each client and each listener of a live board is an open file."""

FREE_MIN_BYTES = 2 * 1024**3
FREE_MIN_SHARE = 0.1
_ZONES = ("America/New_York", "Australia/Lord_Howe")


def look_at_machine(data_dir: Path | None) -> Iterator[Advice]:
    """Judge what any process of Grandstand on this machine depends on; the disk is that of the data folder."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield judged(
        "open_files",
        files == resource.RLIM_INFINITY or files >= FILES_MIN,
        f"A process may open {'any number of' if files == resource.RLIM_INFINITY else f'{files:,}'} files.",
        f"Allow at least {FILES_MIN:,}: `ulimit -n`, or LimitNOFILE= of the service.",
        otherwise="warning",
    )
    try:
        for zone in _ZONES:
            ZoneInfo(zone)
        yield Advice("time_zones", "ok", "The time zones of boards are known here.")
    except ZoneInfoNotFoundError as error:
        yield Advice("time_zones", "failed", f"{error}.", "Install the package tzdata.")
    if data_dir is not None:
        usage = shutil.disk_usage(data_dir)
        yield judged(
            "disk",
            usage.free >= FREE_MIN_BYTES and usage.free >= FREE_MIN_SHARE * usage.total,
            f"{usage.free / 1024**3:,.1f} of {usage.total / 1024**3:,.1f} GiB are free under {data_dir}.",
            "Make room: a full disk stops ingest (nothing acknowledged is lost). Shorten the retention, or archive.",
            otherwise="warning",
        )
