"""`GET /schema` and `GET /schema/openapi.json`."""

from functools import cache

from litestar import Controller, Response, get

from grandstand.api.replies import JSON, Reply, encode
from grandstand.api.schema.document import document
from grandstand.api.schema.page import render_page

_HEADERS = (
    (b"cache-control", b"public, max-age=300"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
)


@cache
def _document() -> bytes:
    return encode(document())


@cache
def _page() -> bytes:
    return render_page(document()).encode()


class SchemaRoutes(Controller):
    """The routes of the document."""

    path = "/schema"

    @get("/openapi.json")
    async def get_document(self) -> Response[bytes]:
        """Give the OpenAPI document."""
        return Reply(200, _document(), JSON, _HEADERS).as_response()

    @get("/")
    async def get_page(self) -> Response[bytes]:
        """Show the document as a page."""
        return Reply(200, _page(), "text/html; charset=utf-8", _HEADERS).as_response()
