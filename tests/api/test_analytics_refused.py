"""What cannot be asked of analytics is refused, with the field that is wrong."""

from typing import Any

import pytest

from tests.api.conftest import Site, problem

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("events/stats?interval=week", "interval"),
        ("events/stats?event_type=a%20b", "event_type"),
        ("events/stats?from=2016-01-01&to=2016-03-01", "from"),
        ("events/stats?from=2016-03-01&to=2016-02-01", "from"),
        ("events/stats?from=yesterday", "from"),
        ("events/stats?to=2016-02-30", "to"),
        ("events/stats?to=9999-12-31", "to"),
        ("events/stats?interval=day&timezone=Asia/Kolkata", "timezone"),
        ("analytics/overview?timezone=Asia/Kolkata", "timezone"),
        ("analytics/overview?timezone=Mars", "timezone"),
        ("analytics/overview?from=2016-01-01&to=2016-12-31", "from"),
        ("analytics/retention?by=a..b", "by"),
        ("analytics/retention?from=2016-01-01&to=2016-12-31", "from"),
        ("analytics/sessions?from=2016-01-01&to=2016-12-31", "from"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_names_the_field(module_site: Site, path: str, field: str) -> None:
    body = problem(await module_site.get(f"/api/{path}", "server"), 422, "invalid")
    assert [error["path"] for error in body["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": ["a"] * 11}, "steps"),
        ({"steps": ["a", "b b"]}, "steps[1]"),
        ({"steps": ["a"], "within_seconds": 0}, "within_seconds"),
        ({"steps": ["a"], "within_seconds": 10**30}, "within_seconds"),
        ({"steps": ["a"], "from": "2016-01-01", "to": "2016-12-31"}, "from"),
        ({"step": ["a"]}, "step"),
        ({"steps": "a"}, "steps"),
    ],
)
async def test_a_funnel_that_cannot_be_asked_names_the_field(module_site: Site, body: Any, field: str) -> None:
    answer = problem(await module_site.post("/api/analytics/funnel", body, "server"), 422, "invalid")
    assert [error["path"] for error in answer["errors"]] == [field]
