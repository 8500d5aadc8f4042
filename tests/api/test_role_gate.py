"""A process with one role serves that role's paths, and what both need."""

import pytest

from grandstand.api.role_gate import is_served

EVENTS = ["/api/events", "/api/events/import"]
READS = ["/api/leaderboards/global", "/api/leaderboards", "/api/players/ada"]
SHARED = ["/api/health", "/api/health/live", "/metrics", "/schema/openapi.json", "/api/players/sessions"]


@pytest.mark.parametrize("path", SHARED)
def test_both_roles_serve_what_both_need(path):
    assert is_served("GET", path, ["ingest"])
    assert is_served("GET", path, ["api"])


@pytest.mark.parametrize("path", EVENTS)
def test_events_come_in_through_ingest(path):
    assert is_served("POST", path, ["ingest"])
    assert not is_served("POST", path, ["api", "worker"])


@pytest.mark.parametrize("path", ["/api/events", "/api/events/stats"])
def test_events_are_read_through_api(path):
    assert is_served("GET", path, ["api"])
    assert not is_served("HEAD", path, ["ingest"])


@pytest.mark.parametrize("path", READS)
def test_the_rest_is_for_api(path):
    assert is_served("GET", path, ["api"])
    assert not is_served("GET", path, ["ingest", "scheduler"])
