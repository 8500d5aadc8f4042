"""What the embedded PostgreSQL is told about the pools that lead to it."""

from grandstand.settings import load_settings
from grandstand.supervisor.plan import CONNECTIONS_MAX, connections_of


def test_every_pool_of_the_tree_fits_into_the_embedded_database() -> None:
    settings = load_settings(http_processes=2, workers=3, database_pool_max=20, database_read_pool_max=30)
    assert connections_of(settings) > 2 * (20 + 30) + (3 + 1) * 20


def test_beyond_reason_pools_meet_a_limit() -> None:
    assert connections_of(load_settings(http_processes=64, database_pool_max=1000)) == CONNECTIONS_MAX


def test_a_small_largest_pool_needs_no_smallest_one() -> None:
    assert load_settings(database_pool_max=5).database_pool_max == 5
