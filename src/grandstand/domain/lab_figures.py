"""What a report of `grandstand lab run` says in numbers, for all who read one."""

import msgspec


class RunFigures(msgspec.Struct):
    """The figures of a run; a percentile is None where there was nothing to measure it of."""

    events_per_second: float
    reads_per_second: float
    accept_p99_ms: float | None
    visible_p99_ms: float | None
    read_p99_ms: float | None
    errors: int
    lost: int
    doubled: int
    wrong: int
