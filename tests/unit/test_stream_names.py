"""The tags of the event streams spread them over a cluster, however many there are."""

import pytest
from soak.inspection import TAGS as SOAKED
from valkey.crc import key_slot

from grandstand.storage.stream_names import STREAMS_MAX, TAGS, stream_key

SLOTS = 16384


def test_the_soak_looks_where_the_streams_are() -> None:
    assert TAGS[: len(SOAKED)] == SOAKED


def test_the_first_stream_is_where_it_was_when_there_was_no_other() -> None:
    assert stream_key("gs", 0, "high") == "gs:{events}:high"


@pytest.mark.parametrize("count", range(1, STREAMS_MAX + 1))
def test_so_many_streams_are_one_on_each_of_so_many_shards(count: int) -> None:
    slots = [key_slot(tag.encode()) for tag in TAGS[:count]]
    ends = [SLOTS * number // count for number in range(1, count + 1)]
    assert {next(shard for shard, end in enumerate(ends) if slot < end) for slot in slots} == {*range(count)}
