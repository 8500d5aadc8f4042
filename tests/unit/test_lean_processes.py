"""What the processes of a tree load: each module is there five times on the smallest machine."""

import subprocess
import sys

import pytest

LOADED = (
    "from grandstand.telemetry import logs; import {}, sys; print('rich' in sys.modules, 'sqlalchemy' in sys.modules)"
)


@pytest.mark.parametrize(
    "module",
    ["grandstand.supervisor.tree", "grandstand.bootstrap.worker_role", "grandstand.bootstrap.http_role"],
)
def test_no_process_loads_what_only_commands_use(module: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LOADED.format(module)], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.split() == ["False", "False"]
