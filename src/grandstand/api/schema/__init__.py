"""The OpenAPI document of every route, and a page that shows it."""

from grandstand.api.schema.routes import SchemaRoutes

__all__ = ["SchemaRoutes"]
