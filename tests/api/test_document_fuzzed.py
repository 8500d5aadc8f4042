"""Schemathesis over the served document: whatever is sent, no 5xx, and every answer is as documented."""

import asyncio
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from grandstand.api.schema.document import document
from grandstand.api.schema.parts import ADMINS
from tests.api.conftest import KEYS, Site, serve

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180 + int(os.environ.get("SCHEMA_EXAMPLES", "0")))]
EXAMPLES_MAX = int(os.environ.get("SCHEMA_EXAMPLES", "20"))
"""Cases for each route; `make conform` sends thousands."""


@schemathesis.serializer("application/x-ndjson")
def serialize_lines(_: Any, value: Any) -> bytes:
    """Schemathesis knows no NDJSON; the schema calls it a text."""
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else str(value).encode()


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
ENDLESS = ("/api/leaderboards/{key}/live", "/api/tournaments/{tournament_id}/live")
"""A stream has no end to wait for; tests/api/test_live.py listens to it."""

OPERATIONS = [(path, method) for path, item in document()["paths"].items() if path not in ENDLESS for method in item]


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda part: part)
async def test_answers_are_as_documented(site: Site, path: str, method: str) -> None:
    operation = schemathesis.openapi.from_dict(document())[path][method.upper()]

    who = "admin" if operation.definition.raw["security"] == ADMINS else "server"

    def send_cases(url: str) -> None:
        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES_MAX,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def send(case: Any) -> None:
            case.call_and_validate(
                base_url=url, headers={"Authorization": f"Bearer {KEYS[who]}"}, checks=CHECKS, timeout=20
            )

        send()

    async with serve(site.app, site.services.settings) as url:
        await asyncio.to_thread(send_cases, url)
