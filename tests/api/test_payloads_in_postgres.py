"""Nothing that is acknowledged may be refused by `jsonb`: every payload that passes is put into a real one."""

import json
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from grandstand.domain.event_model import EventError
from grandstand.domain.payloads import check_payload
from tests.api.conftest import Site

pytestmark = pytest.mark.anyio

_STRINGS = [b'"', b"\\", b"u0000", b"\\u0000", b"\\\\u0000", b"\\ud800", b"\\udc00", b"\\ud83d\\ude00"]
_CHARACTERS = [b"\xff", b"\xed\xa0\x80", b"\x00", b"\x1f", b"\x7f", "é😀\u2028\uffff".encode(), b"a", b" ", b"\n"]
_MARKS = [b"[", b"]", b"{", b"}", b":", b","]
_VALUES = [b"1e999", b"1e-999", b"0e99999", b"1e308", b"-0", b"0.1", b"1E+5", b"9" * 400, b"NaN", b"null", b"true"]
_LONG_NUMBERS = [b"0." + b"1" * 300, b"0." + b"0" * 500 + b"1"]
fragments = st.sampled_from([*_STRINGS, *_CHARACTERS, *_MARKS, *_VALUES, *_LONG_NUMBERS])
texts = st.lists(fragments, max_size=6).map(b"".join)
payload_texts = st.one_of(
    st.builds(lambda key, value: b'{"%s":"%s"}' % (key, value), texts, texts),
    st.builds(lambda value: b'{"a":%s}' % value, texts),
    st.builds(lambda depth, value: b'{"a":' * depth + value + b"}" * depth, st.integers(1, 90), fragments),
    st.builds(lambda mantissa, exponent: b'{"a":%se%d}' % (mantissa, exponent),
              st.sampled_from([b"0", b"1", b"-9", b"0.0", b"1." + b"7" * 380]), st.integers(-20000, 20000)),
)  # fmt: skip


def passes(text: bytes) -> bool:
    try:
        raw = msgspec.json.decode(text, type=msgspec.Raw)
        check_payload(raw, 1_048_576, nul_possible=True)
    except (EventError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


@settings(max_examples=20, deadline=None)
@given(st.lists(payload_texts, min_size=100, max_size=200))
@example([b'{"a":%s}' % (b"9" * 4300), b'{"a":0.%s}' % (b"1" * 398), b'{"a":1e-9999}', b'{"a":0e9999}'])
async def test_jsonb_takes_every_payload_that_passes(module_site: Site, candidates: list[bytes]) -> None:
    passed = [text for text in candidates if passes(text)]
    async with module_site.core.database.connection() as connection:
        for text in passed:
            try:
                await connection.fetchval("SELECT $1::text::jsonb", text.decode())
            except asyncpg.PostgresError as error:
                pytest.fail(f"{text!r}: {error}")


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(max_size=5), st.integers() | st.floats() | st.text(max_size=9), max_size=9))
async def test_what_json_and_jsonb_take_passes(module_site: Site, payload: dict[str, Any]) -> None:
    text = json.dumps(payload)
    async with module_site.core.database.connection() as connection:
        try:
            await connection.fetchval("SELECT $1::text::jsonb", text)
        except asyncpg.PostgresError:
            return
    assert passes(text.encode())
