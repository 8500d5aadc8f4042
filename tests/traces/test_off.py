"""Without the setting nothing of OpenTelemetry is loaded; with it, what is missing or wrong is said in one sentence."""

import os
import subprocess
import sys

import pytest

from tests.traces.receiver import receiving

WITHOUT_EXTRA = 'import sys; sys.modules["opentelemetry"] = None; from grandstand.cli.main import main; main()'
LOADED = """
import sys
from grandstand.api import app
from grandstand.bootstrap import http_role, worker_role, scheduler_role
from grandstand.telemetry import traces
with traces.span("a"), traces.work("b"), traces.batch([], 1):
    assert traces.current() == b""
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
SAMPLED = """
from grandstand.telemetry import traces
traces.begin("tests")
for number in range(200):
    with traces.request("GET", f"00-{number:032x}-{1:016x}-01" if number else None) as span:
        with traces.span("inside"):
            pass
        span.answered("/a", 200)
traces.end()
"""


def run(program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_nothing_of_it_is_loaded_while_it_is_off() -> None:
    assert run(LOADED).stdout.strip() == "[]"


@pytest.mark.parametrize("command", [("up",), ("serve", "--role", "worker")])
def test_without_the_extra_the_setting_is_refused(command: tuple[str, ...]) -> None:
    urls = {"GRANDSTAND_DATABASE_URL": "postgresql://localhost/x", "GRANDSTAND_VALKEY_URL": "valkey://localhost"}
    ended = run(WITHOUT_EXTRA, *command, GRANDSTAND_TRACES_ENABLED="1", **urls)
    assert ended.returncode == 2
    assert ended.stderr.strip().endswith("install `grandstand[traces]`, or unset it.")


def test_a_protocol_that_is_not_spoken_is_refused() -> None:
    urls = {"GRANDSTAND_DATABASE_URL": "postgresql://localhost/x", "GRANDSTAND_VALKEY_URL": "valkey://localhost"}
    program = "from grandstand.cli.main import main; main()"
    ended = run(
        program, "serve", "--role", "worker", GRANDSTAND_TRACES_ENABLED="1", OTEL_EXPORTER_OTLP_PROTOCOL="grpc", **urls
    )
    assert ended.returncode == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" in ended.stderr


def test_the_standard_variables_say_which_requests_are_traced() -> None:
    with receiving() as receiver:
        every = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint}
        none = run(SAMPLED, OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG="0", **every)
        assert (none.returncode, receiver.spans) == (0, []), none.stderr
        assert run(SAMPLED, OTEL_SERVICE_NAME="arcade", **every).returncode == 0
        assert len(receiver.named("GET /a")) == len(receiver.named("inside")) == 200
        assert {span.service for span in receiver.spans} == {"arcade"}
