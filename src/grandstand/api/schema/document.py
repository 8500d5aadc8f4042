"""The OpenAPI 3.1 document as a whole."""

from functools import cache
from typing import Any

from grandstand import __version__
from grandstand.api.problems import CODES, REJECTION_CODES
from grandstand.api.schema.components import SECURITY_SCHEMES, schemas
from grandstand.api.schema.operations import PATHS

_INTRODUCTION = """\
Gameplay events in, competition out. A game sends events; Grandstand ranks players on leaderboards.

Errors are RFC 9457 `application/problem+json` with a stable `code`. Scores are integers of up to 2^53 - 1. Times are
RFC 3339 in UTC. Send credentials as `Authorization: Bearer …`. Answers to requests that count against a rate limit
carry `RateLimit-Policy` and `RateLimit`.
"""


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Grandstand",
            "version": __version__,
            "summary": "Self-hosted game backend: gameplay events in, competition out.",
            "description": f"{_INTRODUCTION}\n{_codes_table()}",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name}
            for name in (
                "Events",
                "Players",
                "Leaderboards",
                "Tournaments",
                "Prizes",
                "Webhooks",
                "Keys",
                "Analytics",
                "Operations",
            )
        ],
        "paths": PATHS,
        "components": {"schemas": schemas(), "securitySchemes": SECURITY_SCHEMES},
    }


def _codes_table() -> str:
    rows = ["| code | status | meaning |", "|---|---|---|"]
    rows += [f"| `{code}` | {status} | {meaning} |" for code, (status, meaning) in CODES.items()]
    rows += ["", "| code of a rejected event | meaning |", "|---|---|"]
    rows += [f"| `{code}` | {meaning} |" for code, meaning in REJECTION_CODES.items()]
    return "\n".join(rows)
