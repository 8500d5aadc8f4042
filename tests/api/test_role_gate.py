"""A process with one role serves that role's paths, and what both need."""

import pytest

from grandstand.api.role_gate import is_served

EVENTS = ["/api/events", "/api/events/import"]
READS = ["/api/leaderboards/global", "/api/leaderboards", "/api/players/ada"]
SHARED = ["/api/health", "/api/health/live", "/metrics", "/schema/openapi.json", "/api/players/sessions"]


@pytest.mark.parametrize("path", SHARED)
def test_both_roles_serve_what_both_need(path):
    assert is_served(path, ["ingest"])
    assert is_served(path, ["api"])


@pytest.mark.parametrize("path", EVENTS)
def test_events_are_for_ingest(path):
    assert is_served(path, ["ingest"])
    assert not is_served(path, ["api", "worker"])


@pytest.mark.parametrize("path", READS)
def test_the_rest_is_for_api(path):
    assert is_served(path, ["api"])
    assert not is_served(path, ["ingest", "scheduler"])
