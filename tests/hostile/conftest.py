"""The app of the API's tests, for what only a raw connection can send."""

from tests.api.conftest import module_site, site

__all__ = ["module_site", "site"]
