"""Events that no validation lets through, put into the stream directly: real poison, of several kinds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

from grandstand.domain.event_model import join_entry
from grandstand.domain.events import Event, encode_events
from grandstand.storage.event_stream import HIGH
from grandstand.storage.event_streams import EventStreams
from grandstand.storage.valkey import open_valkey
from grandstand.supervisor.state import read_state
from tests.support.core import NOON, Core
from tests.support.server import Server

POISON: dict[str, bytes] = {
    "NUL in the payload": b'{"event_type":"game_ended","user_id":"eve","payload":{"score":1,"note":"a\\u0000b"},'
    b'"id":"%s","occurred_at":"2026-11-24T12:00:00Z"}',
    "NUL in the user": b'{"event_type":"game_ended","user_id":"e\\u0000e","payload":{"score":1},'
    b'"id":"%s","occurred_at":"2026-11-24T12:00:00Z"}',
    "a number beyond jsonb": b'{"event_type":"game_ended","user_id":"eve","payload":{"score":1,"n":1e400000},'
    b'"id":"%s","occurred_at":"2026-11-24T12:00:00Z"}',
    "bytes that are no text": b'{"event_type":"game_ended","user_id":"eve","payload":{"score":1,"note":"\xff\xfe"},'
    b'"id":"%s","occurred_at":"2026-11-24T12:00:00Z"}',
    "an id that is none": b'{"event_type":"game_ended","user_id":"eve","payload":{"score":1},'
    b'"id":"no-%s","occurred_at":"2026-11-24T12:00:00Z"}',
    "a time before time zones": b'{"event_type":"game_ended","user_id":"eve","payload":{"score":1},'
    b'"id":"%s","occurred_at":"0001-01-01T00:00:00Z"}',
    "no user": b'{"event_type":"game_ended","payload":{"score":1},"id":"%s","occurred_at":"2026-11-24T12:00:00Z"}',
    "no object": b'"%s"',
}
"""Texts of events that fail, by what is wrong with them; each takes an id."""


def poison(kind: str = "NUL in the payload") -> bytes:
    """The text of a bad event of this kind, with an id of its own."""
    return POISON[kind] % str(uuid4()).encode()


def text_of(item: Event) -> bytes:
    """The text of an event as it stands in the stream."""
    return encode_events([item])[1:-1]


async def append(core: Core, texts: Sequence[bytes], received_at: datetime = NOON, priority: int = HIGH) -> None:
    """Put the texts of events into the stream as one block."""
    await core.streams.append_encoded(priority, len(texts), join_entry(texts), received_at)


async def append_to(server: Server, texts: Sequence[bytes]) -> None:
    """Put the texts of events into the stream of a running tree, a block each."""
    state = read_state(server.data_dir)
    assert state is not None
    valkey = open_valkey(state.valkey_url, timeout_seconds=5)
    try:
        for text in texts:
            await EventStreams(valkey, "gs").append_encoded(HIGH, 1, join_entry([text]), datetime.now(UTC))
    finally:
        await valkey.aclose()
