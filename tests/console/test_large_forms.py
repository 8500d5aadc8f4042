"""A stranger's form of the greatest size costs the process next to nothing, whatever stands in it."""

import time
from urllib.parse import parse_qsl

import pytest

from tests.console.door import Door

pytestmark = pytest.mark.anyio
MIB = 2**20
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("piece", "status"), [("%41", 401), ("%41x", 401), ("%C3%A9", 401), ("%", 400), ("%zz", 400), ("&a=1", 400)]
)
async def test_a_log_in_of_a_mebibyte_is_cheap(door: Door, piece: str, status: int) -> None:
    """Measured against the standard library's decoding of as many escapes, on the same machine in the same moment."""
    body = f"name=nobody-{piece.encode().hex()}&kept=" + piece * ((MIB - 100) // len(piece))
    began_at = time.process_time()
    parse_qsl("kept=" + "%41" * (MIB // 3))
    usual_seconds = time.process_time() - began_at
    took_seconds = []
    async with door.client() as client:
        for _ in range(2):
            began_at = time.process_time()
            answer = await client.post("/console/log-in", content=body, headers=FORM)
            took_seconds.append(time.process_time() - began_at)
            assert answer.status_code == status
            assert answer.headers["content-type"].startswith("text/html")
    assert min(took_seconds) < usual_seconds / 2


async def test_a_form_that_is_too_long_is_refused_with_a_page(door: Door) -> None:
    async with door.client() as client:
        for path, bytes_max in (("/console/log-in", MIB), ("/console/keys", MIB // 4)):
            answer = await client.post(path, content="name=" + "x" * bytes_max, headers=FORM)
            assert answer.status_code == 413
            assert f"A form may have {bytes_max:,} bytes." in answer.text
            assert answer.headers["content-type"].startswith("text/html")
