"""What operations of the document are put together from: answers, problems, parameters, bodies."""

from typing import Any

from grandstand.api.problems import CODES, MEDIA_TYPE
from grandstand.api.schema import examples
from grandstand.domain.errors import GrandstandError

Json = dict[str, Any]

ANYONE: list[Json] = [{}, {"client_key": []}, {"player_token": []}, {"server_key": []}, {"admin_key": []}]
ADMINS: list[Json] = [{"admin_key": []}]
PLAYERS: list[Json] = [{"player_token": []}]
OPERATORS: list[Json] = [{"server_key": []}, {"admin_key": []}]
SENDERS: list[Json] = [{"player_token": []}, *OPERATORS]
OPENERS: list[Json] = [{"client_key": []}, *OPERATORS]

BODY_PROBLEMS = ("malformed", "request_timeout", "body_too_large", "unsupported_media_type", "invalid")
_TITLES = {error.code: error.title for error in GrandstandError.__subclasses__() if "code" in error.__dict__}
_TITLE_OF_STATUS = {404: "Not found", 409: "Conflict", 410: "Gone", 413: "Too large"}


RATE_LIMIT_HEADERS: Json = {
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": "The quota and its window in seconds.",
        "example": '"default";q=200;w=60',
    },
    "RateLimit": {
        "schema": {"type": "string"},
        "description": "What is left of the quota, and the seconds until all of it is there again.",
        "example": '"default";r=150;t=30',
    },
}


def ref(name: str) -> Json:
    """Return a reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def content(schema: Json, example: Any, media_type: str = "application/json") -> Json:
    """Return content of one media type, with its example."""
    return {media_type: {"schema": schema, "examples": {"usual": {"value": example}}}}


def answer(description: str, schema: str, example: Any, headers: Json | None = None) -> Json:
    """Return an answer that is JSON."""
    found: Json = {"description": description, "content": content(ref(schema), example)}
    return found | {"headers": headers} if headers else found


def problems(*codes: str) -> Json:
    """Return the problem responses of the codes, those of one status together."""
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(CODES[code][0], []).append(code)
    responses: Json = {}
    for status, same in sorted(by_status.items()):
        response: Json = {
            "description": " Or: ".join(CODES[code][1] for code in same),
            "content": {
                MEDIA_TYPE: {
                    "schema": ref("Problem"),
                    "examples": {
                        code: {"value": examples.problem(code, status, _TITLES.get(code, _TITLE_OF_STATUS.get(status)))}
                        for code in same
                    },
                }
            },
        }
        if {"unavailable", "rate_limited"} & {*same}:
            response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
        if "rate_limited" in same:
            response["headers"] |= RATE_LIMIT_HEADERS
        if "unauthorized" in same:
            response["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
        responses[str(status)] = response
    return responses


def query(name: str, schema: Json, description: str, example: Any = None) -> Json:
    """Return a parameter of the query string; none is ever required."""
    found = {"name": name, "in": "query", "required": False, "schema": schema, "description": description}
    return found if example is None else found | {"example": example}


def path(name: str, schema: Json, description: str, example: str) -> Json:
    """Return a parameter of the path."""
    return {
        "name": name, "in": "path", "required": True, "schema": schema, "description": description, "example": example,
    }  # fmt: skip


def operation(
    name: str, tag: str, summary: str, security: list[Json], responses: Json, *, description: str = "", **more: Any
) -> Json:
    """Return an operation. Any may be over a rate limit, except those that say otherwise with `is_limited=False`."""
    if more.pop("is_limited", True):
        responses = dict(sorted((responses | problems("rate_limited")).items()))
    found: Json = {
        "operationId": name, "tags": [tag], "summary": summary, "security": security, "responses": responses,
    }  # fmt: skip
    return found | ({"description": description} if description else {}) | more


def body(schema: str, named: dict[str, Any]) -> Json:
    """Return a request body that is JSON, with its examples by name."""
    found = {"schema": ref(schema), "examples": {name: {"value": value} for name, value in named.items()}}
    return {"required": True, "content": {"application/json": found}}
