"""Schemathesis over the served document: whatever is sent, no 5xx, and every answer is as documented."""

import asyncio
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from grandstand.api.schema.document import document
from tests.api.conftest import Site
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
