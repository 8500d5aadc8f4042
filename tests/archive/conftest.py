"""The core on real engines, and a folder and a bucket for archives, for the tests of this folder."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from soak.ports import HeldPort

from tests.archive.year import Archive
from tests.support.core import Core, core, core_database_url
from tests.support.waiting import eventually

__all__ = ["archive", "core", "core_database_url"]


@pytest.fixture
def archive(core: Core, tmp_path: Path) -> Archive:
    return Archive(core, str(tmp_path / "archive"))


@pytest.fixture(scope="package")
def bucket() -> Iterator[str]:
    """A bucket on a server of this package, named as operators name theirs."""
    held = HeldPort()
    port = held.number
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
    }  # fmt: skip
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)

    def is_made() -> bool:
        try:
            return httpx.put(f"http://127.0.0.1:{port}/games", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(is_made, 60.0)
        yield "s3://games/events/archive"
    finally:
        process.kill()
        process.wait()
        held.close()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture(params=["folder", "bucket"])
def anywhere(request: pytest.FixtureRequest, core: Core, archive: Archive) -> Archive:
    return archive if request.param == "folder" else Archive(core, f"{request.getfixturevalue('bucket')}/{uuid4()}")
