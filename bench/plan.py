"""How much a run measures: the sizes that decide how long it takes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Sizes of one run. Every round measures product and ceiling once each, one right after the other."""

    rounds: int
    """Rounds of a row that has a ceiling; the table shows their median."""

    batched_events: int
    """Events a round posts in batches, and rows a round copies."""

    single_events: int
    """Events a round posts one by one."""

    read_seconds: float
    """Length of one measurement of reads, and of the generator's ceiling."""

    latency_seconds: float
    """Length of the light load whose latencies are taken."""

    stage_events: int
    """Events that go through each stage in a round."""

    board_players: int
    """Players of the large board whose reads are compared with a small board's."""

    listeners: int
    """Listeners of one live board."""

    poisoned_events: int
    """Events of which one cannot be stored."""

    settlements: int
    """Tournaments that are settled."""

    limit_pairs: int
    """Pairs of processes, with rate limits and without."""

    limit_reads: int
    """Reads from one of them in each of its turns."""

    participants: int = 10_000
    awarded: int = 1_000
    settling_events_per_second: int = 500
    players: int = 20_000
    batch_size: int = 100
    batch_connections: int = 8
    single_connections: int = 64
    read_connections: int = 32
    light_load_events_per_second: int = 50


FULL = Plan(
    rounds=3,
    batched_events=150_000,
    single_events=30_000,
    read_seconds=2.0,
    latency_seconds=15.0,
    stage_events=60_000,
    board_players=1_000_000,
    listeners=2_000,
    poisoned_events=100_000,
    settlements=10,
    limit_pairs=12,
    limit_reads=4000,
)
"""For figures that go into a report: under five minutes on two cores."""

QUICK = Plan(
    rounds=1,
    batched_events=60_000,
    single_events=8_000,
    read_seconds=0.7,
    latency_seconds=4.0,
    stage_events=20_000,
    board_players=100_000,
    listeners=500,
    poisoned_events=60_000,
    settlements=2,
    limit_pairs=2,
    limit_reads=1500,
)
"""For a look between two changes: under 40 seconds."""

TINY = Plan(
    rounds=1,
    batched_events=2_000,
    single_events=300,
    read_seconds=0.1,
    latency_seconds=0.6,
    stage_events=1_000,
    board_players=2_000,
    listeners=20,
    poisoned_events=2_000,
    settlements=1,
    limit_pairs=1,
    limit_reads=50,
    participants=200,
    awarded=20,
    players=1_500,
)
"""For the test of the benchmark itself; its figures mean nothing."""

PLANS = {"full": FULL, "quick": QUICK, "tiny": TINY}
